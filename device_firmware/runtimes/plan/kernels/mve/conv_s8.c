/* CONV_2D, int8, and FULLY_CONNECTED with a scale per unit: two output pixels at a time.
 *
 * The windows of both are copied to scratch, padding as the input zero point: one inner loop serves
 * every shape, and the output may lie over the input. A copy is 1/16 of a multiplication per output
 * channel. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "product.h"

/* Scratch: two windows, behind them what a last step reads beyond, then two output pixels. */
static uint32_t windows_bytes(uint32_t depth) {
    return (2u * depth + 2u * HB_MVE_DEPTH - 1u) / HB_MVE_DEPTH * HB_MVE_DEPTH;
}

static uint64_t filter_elements(const struct hb_plan_window *w) {
    return (uint64_t)w->kernel_h * w->kernel_w * w->in_c;
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || filter_elements(w) > HB_WINDOW_MAX_ELEMENTS) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised) || op.away > 1u) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    const uint32_t depth = (uint32_t)filter_elements(w);
    const uint32_t blocks = hb_mve_blocks(w->out_c);
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, windows_bytes(depth) + 2u * blocks * HB_MVE_BLOCK, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint64_t weights = (uint64_t)hb_mve_steps(depth) * HB_MVE_DEPTH * HB_MVE_BLOCK * blocks;
    if (!hb_constant_ok(memory, op.weights, weights, 1u) ||
        !hb_constant_ok(memory, op.scales, blocks, sizeof(struct hb_mve_scales))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    return hb_mve_scales_ok(memory, op.scales, blocks) ? HB_PLAN_FAULT_NONE
                                                       : HB_PLAN_FAULT_PARAMETER;
}

/* Columns of one row of a window: the input's where it has them. */
static int8_t *gather_row(const struct hb_plan_window *w, int32_t zero_point, const int8_t *row,
                          int32_t x, int8_t *to) {
    if (w->dilation_w != 1u) {
        for (int32_t tap = 0; tap < w->kernel_w; tap++, x += w->dilation_w) {
            to = x >= 0 && x < w->in_w ? hb_mve_copy(to, row + x * w->in_c, w->in_c)
                                       : hb_mve_fill(to, zero_point, w->in_c);
        }
        return to;
    }
    const struct hb_taps taps = hb_taps_inside(x, w->kernel_w, 1, w->in_w);
    to = hb_mve_fill(to, zero_point, taps.begin * w->in_c);
    to = hb_mve_copy(to, row + (x + taps.begin) * w->in_c, (taps.end - taps.begin) * w->in_c);
    return hb_mve_fill(to, zero_point, (w->kernel_w - taps.end) * w->in_c);
}

static int8_t *gather_border(const struct hb_plan_window *w, int32_t zero_point,
                             const int8_t *input, int32_t y, int32_t x, int8_t *to) {
    for (int32_t tap = 0; tap < w->kernel_h; tap++, y += w->dilation_h) {
        to = y >= 0 && y < w->in_h ? gather_row(w, zero_point, input + y * w->in_w * w->in_c, x, to)
                                   : hb_mve_fill(to, zero_point, w->kernel_w * w->in_c);
    }
    return to;
}

/* The window at y, x as [kernel_h][kernel_w][in_c]; returns the byte after it. */
HB_INLINE int8_t *gather(const struct hb_plan_window *w, int32_t zero_point, const int8_t *input,
                         int32_t y, int32_t x, int8_t *to) {
    const int32_t run = w->kernel_w * w->in_c;
    if (y < 0 || x < 0 || y + (w->kernel_h - 1) * w->dilation_h >= w->in_h ||
        x + (w->kernel_w - 1) * w->dilation_w >= w->in_w || w->dilation_w != 1) {
        return gather_border(w, zero_point, input, y, x, to);
    }
    const int32_t row = w->in_w * w->in_c;
    const int8_t *from = input + y * row + x * w->in_c;
    for (int32_t tap = w->kernel_h; tap > 0; tap--, from += w->dilation_h * row) {
        to = hb_mve_copy(to, from, run);
    }
    return to;
}

struct walk {
    const struct hb_plan_window *window;
    int32_t zero_point;
    const int8_t *input;
    int32_t column; /* output pixels left in the row */
    int32_t y, x;   /* of the next window */
};

HB_INLINE int8_t *next_window(struct walk *k, int8_t *to) {
    const struct hb_plan_window *w = k->window;
    to = gather(w, k->zero_point, k->input, k->y, k->x, to);
    k->x += w->stride_w;
    if (--k->column == 0) {
        k->column = w->out_w;
        k->x = -w->pad_left;
        k->y += w->stride_h;
    }
    return to;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const uint32_t depth = (uint32_t)filter_elements(w);
    const uint32_t blocks = hb_mve_blocks(w->out_c);
    int8_t *scratch = (int8_t *)(memory->arena + op.scratch);
    int8_t *spare = scratch + windows_bytes(depth);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const bool whole_blocks = w->out_c % HB_MVE_BLOCK == 0u;

    struct hb_mve_product p;
    p.weights = (const int8_t *)(memory->constants + op.weights);
    p.scales = (const struct hb_mve_scales *)(const void *)(memory->constants + op.scales);
    p.scales_end = p.scales + blocks;
    p.pixel[0] = scratch;
    p.pixel[1] = scratch + depth;
    p.more_steps = hb_mve_steps(depth) - 1u;
    p.away = (int32_t)op.away;
    p.zero_point = op.quantised.output_zero_point;
    p.minimum = op.quantised.minimum;
    p.maximum = op.quantised.maximum;

    struct walk walk = {w,
                        op.quantised.input_zero_point,
                        (const int8_t *)(memory->arena + op.head.input),
                        w->out_w,
                        -w->pad_top,
                        -w->pad_left};
    for (int32_t left = w->out_h * w->out_w; left > 0; left -= 2) {
        const int32_t pixels = left > 1 ? 2 : 1;
        int8_t *to = next_window(&walk, scratch);
        if (pixels == 2) {
            next_window(&walk, to);
        }
        p.output[0] = whole_blocks ? output : spare;
        p.output[1] =
            whole_blocks && pixels == 2 ? output + w->out_c : spare + blocks * HB_MVE_BLOCK;
        hb_mve_product(&p);
        if (!whole_blocks) {
            hb_mve_copy(output, spare, w->out_c);
            if (pixels == 2) {
                hb_mve_copy(output + w->out_c, spare + blocks * HB_MVE_BLOCK, w->out_c);
            }
        }
        output += 2 * w->out_c;
    }
}

const struct hb_kernel hb_mve_conv_s8 = {HB_PLAN_CONV_S8_MVE, sizeof(struct hb_plan_conv_s8_mve),
                                         check, run};

#endif
