/* DEPTHWISE_CONV_2D, int8. The planner turns the weights round to [out_c][kernel_h][kernel_w], so
 * that a channel reads them in order; output channel = input channel * multiplier + m.
 * Zero point and padding as in conv_s8.c. */
#include "dot_s8.h"
#include "requantise.h"
#include "window.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->out_c % w->in_c != 0) {
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
    return hb_per_channel_check(memory, (uint64_t)w->out_c * w->kernel_h * w->kernel_w, op.weights,
                                w->out_c, op.bias, w->out_c, op.multipliers, op.shifts);
}

/* The part of a window that lies on the input. */
struct patch {
    const int8_t *values; /* of input channel 0 */
    int32_t weights;      /* offset of the first tap in a channel's weights */
    int32_t rows, columns;
    int32_t value_row, value_step; /* steps in the input */
    int32_t weight_row;            /* step in the weights */
};

HB_INLINE uint32_t accumulate(uint32_t sum, const struct patch *p, const int8_t *values,
                              int32_t offset, const HB_CONST int8_t *weights) {
    const int32_t step = p->value_step;
    const int32_t value_row = p->value_row;
    const int32_t weight_row = p->weight_row;
    if (p->columns == 3) {
        for (int32_t rows = p->rows; rows > 0; rows--) {
            sum = hb_mac(sum, values[0] + offset, weights[0]);
            sum = hb_mac(sum, values[step] + offset, weights[1]);
            sum = hb_mac(sum, values[2 * step] + offset, weights[2]);
            values += value_row;
            weights += weight_row;
        }
        return sum;
    }
    for (int32_t rows = p->rows; rows > 0; rows--) {
        const int8_t *value = values;
        for (int32_t i = 0; i < p->columns; i++) {
            sum = hb_mac(sum, *value + offset, weights[i]);
            value += step;
        }
        values += value_row;
        weights += weight_row;
    }
    return sum;
}

static struct patch patch_at(const struct hb_plan_window *w, const int8_t *input, int32_t y,
                             int32_t x, struct hb_taps rows, struct hb_taps columns) {
    struct patch p;
    p.columns = columns.end - columns.begin;
    p.rows = p.columns > 0 ? rows.end - rows.begin : 0;
    p.values = input;
    if (p.rows > 0) { /* else there is no such value to point at */
        p.values += ((size_t)(y + rows.begin * w->dilation_h) * w->in_w +
                     (size_t)(x + columns.begin * w->dilation_w)) *
                    w->in_c;
    }
    p.weights = rows.begin * w->kernel_w + columns.begin;
    p.value_row = p.rows > 1 ? w->dilation_h * w->in_w * w->in_c : 0;
    p.value_step = p.columns > 1 ? w->dilation_w * w->in_c : 0;
    p.weight_row = w->kernel_w;
    return p;
}

struct constants {
    const HB_CONST int8_t *weights;
    const HB_CONST int32_t *bias;
    const HB_CONST int32_t *border_bias;
    const HB_CONST int32_t *multipliers;
    const HB_CONST int8_t *shifts;
};

static void pixel(const struct hb_plan_depthwise_s8 *op, const struct constants *k,
                  const struct patch *p, bool inside, int8_t *output) {
    const struct hb_plan_window *w = &op->window;
    const int32_t filter = w->kernel_h * w->kernel_w;
    const int32_t depth_multiplier = w->out_c / w->in_c;
    const int32_t offset = -op->quantised.input_zero_point;
    const HB_CONST int8_t *weights = k->weights + p->weights;
    int32_t c = 0;
    for (int32_t in_c = 0; in_c < w->in_c; in_c++) {
        const int8_t *values = p->values + in_c;
        for (const int32_t end = c + depth_multiplier; c < end; c++, weights += filter) {
            const uint32_t sum =
                inside ? accumulate((uint32_t)k->bias[c], p, values, 0, weights)
                       : accumulate((uint32_t)k->border_bias[c], p, values, offset, weights);
            output[c] =
                hb_to_s8(hb_scale((int32_t)sum, k->multipliers[c], k->shifts[c]), &op->quantised);
        }
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8 op;
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

const struct hb_kernel hb_portable_depthwise_s8 = {HB_PLAN_DEPTHWISE_S8,
                                                   sizeof(struct hb_plan_depthwise_s8), check, run};
