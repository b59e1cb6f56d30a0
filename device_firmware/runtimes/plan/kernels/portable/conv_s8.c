/* CONV_2D, int8, weights [out_c][kernel_h][kernel_w][in_c].
 *
 * Where a window lies on the input, the zero point is in the bias already. At the border, taps in
 * the padding are left out, and the zero point is subtracted from each value instead. */
#include "dot_s8.h"
#include "requantise.h"
#include "window.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w)) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    if (!hb_constant_ok(memory, op.border_bias, w->out_c, 4u)) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    return hb_per_channel_check(memory, (uint64_t)w->out_c * w->kernel_h * w->kernel_w * w->in_c,
                                op.weights, w->out_c, op.bias, w->out_c, op.multipliers, op.shifts);
}

/* The part of a window that lies on the input: rows of runs of neighbouring values. */
struct patch {
    const int8_t *values;
    size_t weights; /* offset of the first tap in a channel's weights */
    int32_t rows, runs, run;
    int32_t value_row, value_run;   /* steps in the input */
    int32_t weight_row, weight_run; /* steps in the weights */
};

HB_INLINE void accumulate(uint32_t *sums, int32_t channels, const struct patch *p, int32_t offset,
                          const HB_CONST int8_t *weights, size_t filter) {
    const int8_t *value_row = p->values;
    const HB_CONST int8_t *weight_row = weights + p->weights;
    for (int32_t rows = p->rows; rows > 0; rows--) {
        const int8_t *values = value_row;
        const HB_CONST int8_t *taps = weight_row;
        for (int32_t runs = p->runs; runs > 0; runs--) {
            hb_dot_s8(sums, channels, values, offset, taps, filter, p->run);
            values += p->value_run;
            taps += p->weight_run;
        }
        value_row += p->value_row;
        weight_row += p->weight_row;
    }
}

struct constants {
    const HB_CONST int8_t *weights;
    const HB_CONST int32_t *bias;
    const HB_CONST int32_t *border_bias;
    const HB_CONST int32_t *multipliers;
    const HB_CONST int8_t *shifts;
};

/* Output channels c .. c + channels - 1 of one pixel. */
HB_INLINE void channels_of(const struct hb_plan_conv_s8 *op, const struct constants *k,
                           const struct patch *p, bool inside, size_t filter, int32_t c,
                           int32_t channels, int8_t *output) {
    uint32_t sums[HB_BLOCK];
    const HB_CONST int8_t *weights = k->weights + (size_t)c * filter;
    for (int32_t i = 0; i < channels; i++) {
        sums[i] = (uint32_t)(inside ? k->bias : k->border_bias)[c + i];
    }
    if (inside) {
        accumulate(sums, channels, p, 0, weights, filter);
    } else {
        accumulate(sums, channels, p, -op->quantised.input_zero_point, weights, filter);
    }
    for (int32_t i = 0; i < channels; i++) {
        const int32_t scaled = hb_scale((int32_t)sums[i], k->multipliers[c + i], k->shifts[c + i]);
        output[c + i] = hb_to_s8(scaled, &op->quantised);
    }
}

static void pixel(const struct hb_plan_conv_s8 *op, const struct constants *k,
                  const struct patch *p, bool inside, int8_t *output) {
    const struct hb_plan_window *w = &op->window;
    const size_t filter = (size_t)w->kernel_h * w->kernel_w * w->in_c;
    int32_t c = 0;
    for (; c + HB_BLOCK <= w->out_c; c += HB_BLOCK) {
        channels_of(op, k, p, inside, filter, c, HB_BLOCK, output);
    }
    for (; c < w->out_c; c++) {
        channels_of(op, k, p, inside, filter, c, 1, output);
    }
}

static struct patch patch_at(const struct hb_plan_window *w, const int8_t *input, int32_t y,
                             int32_t x, struct hb_taps rows, struct hb_taps columns) {
    const int32_t in_c = w->in_c;
    const int32_t taps = columns.end - columns.begin;
    struct patch p;
    p.rows = taps > 0 ? rows.end - rows.begin : 0;
    p.values = input;
    if (p.rows > 0) { /* else there is no such value to point at */
        p.values += ((size_t)(y + rows.begin * w->dilation_h) * w->in_w +
                     (size_t)(x + columns.begin * w->dilation_w)) *
                    w->in_c;
    }
    p.weights = ((size_t)rows.begin * w->kernel_w + (size_t)columns.begin) * w->in_c;
    p.runs = w->dilation_w == 1 ? 1 : taps;
    p.run = w->dilation_w == 1 ? taps * in_c : in_c;
    p.value_row = p.rows > 1 ? w->dilation_h * w->in_w * in_c : 0;
    p.value_run = p.runs > 1 ? w->dilation_w * in_c : 0;
    p.weight_row = w->kernel_w * in_c;
    p.weight_run = in_c;
    return p;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const HB_CONST uint8_t *base = memory->constants;
    const struct constants k = {
        (const HB_CONST int8_t *)(base + op.weights),
        (const HB_CONST int32_t *)(const HB_CONST void *)(base + op.bias),
        (const HB_CONST int32_t *)(const HB_CONST void *)(base + op.border_bias),
        (const HB_CONST int32_t *)(const HB_CONST void *)(base + op.multipliers),
        (const HB_CONST int8_t *)(base + op.shifts)};
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps rows = hb_taps_inside(y, w->kernel_h, w->dilation_h, w->in_h);
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps columns = hb_taps_inside(x, w->kernel_w, w->dilation_w, w->in_w);
            const struct patch p = patch_at(w, input, y, x, rows, columns);
            const bool inside =
                rows.end - rows.begin == w->kernel_h && columns.end - columns.begin == w->kernel_w;
            pixel(&op, &k, &p, inside, output);
            output += w->out_c;
        }
    }
}

const struct hb_kernel hb_portable_conv_s8 = {HB_PLAN_CONV_S8, sizeof(struct hb_plan_conv_s8),
                                              check, run};
