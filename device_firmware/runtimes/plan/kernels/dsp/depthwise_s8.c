/* DEPTHWISE_CONV_2D, int8, any window, one output channel per input channel, weights
 * [tap][channel].
 *
 * Four channels of a pixel at a time, straight from the input: the zero point is subtracted while
 * values are widened, and taps in the padding are left out. */
#include "dsp.h"

#ifdef HB_WITH_DSP

struct filter {
    int32_t bias;
    struct hb_dsp_scale scale;
};

HB_COLD static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                        const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->in_c != w->out_c || w->in_c % 4u != 0u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    if (!hb_constant_ok(memory, op.filters, w->out_c, sizeof(struct filter)) ||
        !hb_constant_ok(memory, op.weights, (uint64_t)w->kernel_h * w->kernel_w * w->in_c, 1u)) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const struct filter *filters =
        (const struct filter *)(const void *)(memory->constants + op.filters);
    for (uint32_t c = 0; c < w->out_c; c++) {
        if (!hb_dsp_scale_ok(&filters[c].scale)) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

/* The part of a window that lies on the input. */
struct patch {
    const int8_t *values, *weights;
    int32_t rows, columns;
    int32_t value_step, weight_step; /* to the next column */
    int32_t value_skip, weight_skip; /* from the end of a row to the next one */
    uint32_t offset;                 /* less the zero point, in both halves */
};

HB_NO_INLINE void four_channels(const struct patch *p, int32_t c, const struct filter *filter,
                                bool linear, int8_t *output) {
    int32_t s0 = filter[0].bias, s1 = filter[1].bias, s2 = filter[2].bias, s3 = filter[3].bias;
    const int8_t *value = p->values + c, *weight = p->weights + c;
    const int32_t value_step = p->value_step, weight_step = p->weight_step;
    const uint32_t offset = p->offset;
    for (int32_t rows = p->rows; rows > 0; rows--) {
        for (int32_t i = p->columns; i > 0; i--) {
            const uint32_t x = hb_dsp_load(value), taps = hb_dsp_load(weight);
            const uint32_t x02 = hb_dsp_even_plus(offset, x), x13 = hb_dsp_odd_plus(offset, x);
            const uint32_t w02 = hb_dsp_even(taps), w13 = hb_dsp_odd(taps);
            value += value_step;
            weight += weight_step;
            s0 = hb_dsp_mac_low(x02, w02, s0);
            s1 = hb_dsp_mac_low(x13, w13, s1);
            s2 = hb_dsp_mac_high(x02, w02, s2);
            s3 = hb_dsp_mac_high(x13, w13, s3);
        }
        value += p->value_skip;
        weight += p->weight_skip;
    }
    output[0] = hb_dsp_requantise(hb_dsp_times_256(s0), &filter[0].scale, linear);
    output[1] = hb_dsp_requantise(hb_dsp_times_256(s1), &filter[1].scale, linear);
    output[2] = hb_dsp_requantise(hb_dsp_times_256(s2), &filter[2].scale, linear);
    output[3] = hb_dsp_requantise(hb_dsp_times_256(s3), &filter[3].scale, linear);
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const struct filter *filters =
        (const struct filter *)(const void *)(memory->constants + op.filters);
    const int8_t *weights = (const int8_t *)(memory->constants + op.weights);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *const first = (int8_t *)(memory->arena + op.head.output);
    int8_t *output = first;
    const int32_t in_c = w->in_c;
    struct patch p;
    p.offset = (uint16_t)-op.quantised.input_zero_point * 0x10001u;
    p.weight_step = in_c;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps rows = hb_taps_inside(y, w->kernel_h, w->dilation_h, w->in_h);
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps columns = hb_taps_inside(x, w->kernel_w, w->dilation_w, w->in_w);
            p.columns = columns.end - columns.begin;
            p.rows = p.columns > 0 ? rows.end - rows.begin : 0;
            p.values = input;
            if (p.rows > 0) { /* else there is no such value to point at */
                p.values += ((size_t)(y + rows.begin * w->dilation_h) * w->in_w +
                             (size_t)(x + columns.begin * w->dilation_w)) *
                            w->in_c;
            }
            p.weights = weights + (rows.begin * w->kernel_w + columns.begin) * in_c;
            p.value_step = w->dilation_w * in_c;
            p.value_skip = w->dilation_h * w->in_w * in_c - p.columns * p.value_step;
            p.weight_skip = (w->kernel_w - p.columns) * in_c;
            for (int32_t c = 0; c < in_c; c += 4, output += 4) {
                four_channels(&p, c, filters + c, op.linear != 0u, output);
            }
        }
    }
    hb_dsp_clamp(first, (uint32_t)hb_window_out(w), &op.quantised);
}

const struct hb_kernel hb_dsp_depthwise_s8 = {HB_PLAN_DEPTHWISE_S8_DSP,
                                              sizeof(struct hb_plan_depthwise_s8_dsp), check, run};

#endif
