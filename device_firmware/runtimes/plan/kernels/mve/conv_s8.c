/* CONV_2D, int8, and FULLY_CONNECTED with a scale per unit: two output pixels at a time.
 *
 * A step first copies what its output rows need to scratch, column by column of the input, as
 * [column][kernel_h][in_c] with padding as the zero point. A window is then one run of bytes, every
 * value is copied once per output row, one inner loop serves every shape, and the output may lie
 * over the input. Pointwise convolutions copy pixels as they are. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "product.h"

#define MAX_BATCH 256u

struct shape {
    bool plain;             /* windows follow each other in the input already */
    uint32_t depth;         /* of a window */
    uint32_t column;        /* bytes of a column in a strip */
    uint32_t columns;       /* of a strip: what the windows of an output row reach */
    uint64_t windows_bytes; /* of a step */
    uint32_t blocks;
};

static struct shape shape_of(const struct hb_plan_conv_s8_mve *op) {
    const struct hb_plan_window *w = &op->window;
    struct shape s;
    s.plain = w->kernel_h == 1u && w->kernel_w == 1u && w->stride_h == 1u && w->stride_w == 1u &&
              w->out_w == w->in_w;
    s.column = (uint32_t)w->kernel_h * w->in_c;
    s.depth = s.column * w->kernel_w;
    s.columns = (w->out_w - 1u) * w->stride_w + w->kernel_w;
    s.windows_bytes = (uint64_t)op->batch * s.column * (s.plain ? 1u : s.columns);
    s.blocks = hb_mve_blocks(w->out_c);
    return s;
}

/* Scratch: 16 zero points, the windows, what a last multiplication reads behind them, and two
 * output pixels of whole blocks. */
static uint64_t scratch_bytes(const struct shape *s) {
    return 2u * HB_MVE_DEPTH + s->windows_bytes + 2u * (uint64_t)s->blocks * HB_MVE_BLOCK;
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->dilation_w != 1u ||
        (uint64_t)w->kernel_h * w->kernel_w * w->in_c > HB_WINDOW_MAX_ELEMENTS) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised) || op.away > 1u || op.batch == 0u || op.batch > MAX_BATCH) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    const struct shape s = shape_of(&op);
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, scratch_bytes(&s), 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint64_t weights =
        (uint64_t)hb_mve_steps(s.depth) * HB_MVE_DEPTH * HB_MVE_BLOCK * s.blocks;
    if (!hb_constant_ok(memory, op.weights, weights, 1u) ||
        !hb_constant_ok(memory, op.scales, s.blocks, sizeof(struct hb_mve_scales))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    return hb_mve_scales_ok(memory, op.scales, s.blocks) ? HB_PLAN_FAULT_NONE
                                                         : HB_PLAN_FAULT_PARAMETER;
}

/* `columns` times n bytes from places `from_step` apart to places `to_step` apart; 16 bytes that
 * repeat where from_step is 0. */
static void copy_columns(int8_t *to, int32_t to_step, const int8_t *from, int32_t from_step,
                         int32_t n, int32_t columns) {
    const int32_t next = from_step == 0 ? 0 : (int32_t)HB_MVE_DEPTH;
    for (; n > 0; n -= (int32_t)HB_MVE_DEPTH, to += HB_MVE_DEPTH, from += next) {
        int8_t *target = to;
        const int8_t *source = from;
#ifdef __ARM_FEATURE_MVE
        __asm volatile(
            "vctp.8 %[n]\n\t"
            "dls lr, %[columns]\n"
            "1:\n\t"
            "vpstt\n\t"
            "vldrbt.8 q0, [%[source]]\n\t"
            "vstrbt.8 q0, [%[target]]\n\t"
            "add %[source], %[from_step]\n\t"
            "add %[target], %[to_step]\n\t"
            "le lr, 1b"
            : [source] "+r"(source), [target] "+r"(target)
            : [n] "r"(n), [columns] "r"(columns), [from_step] "r"(from_step), [to_step] "r"(to_step)
            : "lr", "q0", "memory");
#else
        const size_t bytes = n < (int32_t)HB_MVE_DEPTH ? (size_t)n : HB_MVE_DEPTH;
        for (int32_t i = 0; i < columns; i++) {
            memmove(target + i * to_step, source + i * from_step, bytes);
        }
#endif
    }
}

/* What the windows of the output row at input row y reach. Columns in the padding stay what they
 * are. */
static void bring_strip(const struct hb_plan_window *w, const struct shape *s, const int8_t *input,
                        int32_t y, const int8_t *zero_points, int8_t *strip) {
    const int32_t in_c = w->in_c;
    const int32_t room = (int32_t)s->columns - w->pad_left;
    const int32_t columns = room < w->in_w ? room : w->in_w;
    int8_t *to = strip + w->pad_left * (int32_t)s->column;
    for (int32_t tap = 0; tap < w->kernel_h; tap++, y += w->dilation_h, to += in_c) {
        const bool inside = y >= 0 && y < w->in_h;
        const int8_t *from = inside ? input + y * w->in_w * in_c : zero_points;
        if (inside && w->kernel_h == 1u) {
            hb_mve_copy(to, from, columns * in_c);
        } else {
            copy_columns(to, (int32_t)s->column, from, inside ? in_c : 0, in_c, columns);
        }
    }
}

/* Where the next window is, in the strips of a step. */
struct walk {
    const int8_t *strip, *window;
    int32_t strip_bytes, window_step;
    int32_t windows, left; /* of a strip */
};

static void pass_windows(struct walk *k, int32_t count) {
    k->left -= count;
    k->window += count * k->window_step;
    if (k->left == 0) {
        k->left = k->windows;
        k->strip += k->strip_bytes;
        k->window = k->strip;
    }
}

/* Two output pixels whose windows may lie in two strips, or, if there is one left, that one twice.
 * `spare` takes them where blocks are not whole. */
static void multiply_two(struct hb_mve_product *p, struct walk *k, bool two, int8_t *spare,
                         int8_t *output) {
    const int32_t channels = p->channels;
    const int32_t padded = (channels + 3) / 4 * 4;
    int8_t *second = two ? output + channels : output;
    p->pixel[0] = k->window;
    pass_windows(k, 1);
    p->pixel[1] = two ? k->window : p->pixel[0];
    p->output[0] = channels == padded ? output : spare;
    p->output[1] = channels == padded ? second : spare + padded;
    p->pairs = 1u;
    if (two) {
        pass_windows(k, 1);
    }
    hb_mve_product(p);
    if (channels != padded) {
        hb_mve_copy(output, spare, channels);
        hb_mve_copy(second, spare + padded, channels);
    }
}

/* All pixels of a step, from their windows; returns the byte behind them. */
static int8_t *multiply(struct hb_mve_product *p, struct walk walk, int32_t pixels, int8_t *spare,
                        int8_t *output) {
    const bool whole_blocks = p->channels % (int32_t)HB_MVE_BLOCK == 0;
    p->pixel_step = 2 * walk.window_step;
    while (pixels > 0) {
        const int32_t together = walk.left < pixels ? walk.left : pixels;
        int32_t done = together / 2 * 2;
        if (whole_blocks && done > 0) {
            p->pixel[0] = walk.window;
            p->pixel[1] = walk.window + walk.window_step;
            p->output[0] = output;
            p->output[1] = output + p->channels;
            p->pairs = (uint32_t)done / 2u;
            pass_windows(&walk, done);
            hb_mve_product(p);
        } else {
            done = pixels > 1 ? 2 : 1;
            multiply_two(p, &walk, pixels > 1, spare, output);
        }
        output += done * p->channels;
        pixels -= done;
    }
    return output;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const struct shape s = shape_of(&op);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    int8_t *zero_points = (int8_t *)(memory->arena + op.scratch);
    int8_t *windows = zero_points + HB_MVE_DEPTH;
    int8_t *spare = windows + s.windows_bytes + HB_MVE_DEPTH;

    struct hb_mve_product p;
    p.weights = (const int8_t *)(memory->constants + op.weights);
    p.scales = (const struct hb_mve_scales *)(const void *)(memory->constants + op.scales);
    p.scales_end = p.scales + s.blocks;
    p.more_steps = hb_mve_steps(s.depth) - 1u;
    p.channels = w->out_c;
    p.away = (int32_t)op.away;
    p.zero_point = op.quantised.output_zero_point;
    p.minimum = op.quantised.minimum;
    p.maximum = op.quantised.maximum;

    const int32_t batch = (int32_t)op.batch;
    if (s.plain) {
        const struct walk walk = {windows, windows, 0, (int32_t)s.depth, batch, batch};
        for (int32_t left = w->out_h * w->out_w; left > 0; left -= batch) {
            const int32_t pixels = left < batch ? left : batch;
            hb_mve_copy(windows, input, pixels * (int32_t)s.depth);
            input += pixels * (int32_t)s.depth;
            output = multiply(&p, walk, pixels, spare, output);
        }
        return;
    }
    hb_mve_fill(zero_points, op.quantised.input_zero_point,
                (int32_t)(HB_MVE_DEPTH + s.windows_bytes));
    const int32_t strip_bytes = (int32_t)(s.columns * s.column);
    const struct walk walk = {windows,  windows, strip_bytes, w->stride_w * (int32_t)s.column,
                              w->out_w, w->out_w};
    int32_t y = -w->pad_top;
    for (int32_t left = w->out_h; left > 0; left -= batch) {
        const int32_t rows = left < batch ? left : batch;
        for (int32_t i = 0; i < rows; i++, y += w->stride_h) {
            bring_strip(w, &s, input, y, zero_points, windows + i * strip_bytes);
        }
        output = multiply(&p, walk, rows * w->out_w, spare, output);
    }
}

const struct hb_kernel hb_mve_conv_s8 = {HB_PLAN_CONV_S8_MVE, sizeof(struct hb_plan_conv_s8_mve),
                                         check, run};

#endif
