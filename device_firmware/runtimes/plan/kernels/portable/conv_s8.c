/* CONV_2D, int8, weights [out_c][kernel_h][kernel_w][in_c].
 *
 * The input zero point is folded into the bias over the whole kernel, so a tap in the padding
 * contributes zero point * weight, as if the padding held the zero point. */
#include "dot_s8.h"
#include "requantise.h"
#include "window.h"

static enum hb_plan_fault check(const uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8 op;
    memcpy(&op, record, sizeof op);
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
    return hb_per_channel_check(memory, (uint64_t)w->out_c * w->kernel_h * w->kernel_w * w->in_c,
                                op.weights, w->out_c, op.bias, w->out_c, op.multipliers, op.shifts);
}

/* One output value before scaling; (y, x) is the window's origin, taps its columns inside. */
static uint32_t accumulate(const struct hb_plan_conv_s8 *op, const int8_t *input,
                           const int8_t *weights, uint32_t sum, int32_t y, int32_t x,
                           struct hb_taps taps) {
    const struct hb_plan_window *w = &op->window;
    const int32_t in_c = w->in_c;
    const int32_t row = w->kernel_w * in_c;
    const int32_t begin = taps.begin * in_c;
    const int32_t end = taps.end * in_c;
    int32_t padding = 0;
    for (int32_t ky = 0; ky < w->kernel_h; ky++, y += w->dilation_h, weights += row) {
        if (y < 0 || y >= w->in_h) {
            padding += hb_sum_s8(weights, row);
            continue;
        }
        const int8_t *values = input + ((size_t)y * w->in_w) * w->in_c + (x + taps.begin) * in_c;
        sum = hb_dot_s8(sum, weights + begin, values, end - begin);
        padding += hb_sum_s8(weights, begin) + hb_sum_s8(weights + end, row - end);
    }
    return sum + (uint32_t)padding * (uint32_t)op->quantised.input_zero_point;
}

/* The same where taps of a row are apart. */
static uint32_t accumulate_dilated(const struct hb_plan_conv_s8 *op, const int8_t *input,
                                   const int8_t *weights, uint32_t sum, int32_t y, int32_t x) {
    const struct hb_plan_window *w = &op->window;
    const int32_t in_c = w->in_c;
    int32_t padding = 0;
    for (int32_t ky = 0; ky < w->kernel_h; ky++, y += w->dilation_h) {
        int32_t tap_x = x;
        for (int32_t kx = 0; kx < w->kernel_w; kx++, tap_x += w->dilation_w, weights += in_c) {
            if (y < 0 || y >= w->in_h || tap_x < 0 || tap_x >= w->in_w) {
                padding += hb_sum_s8(weights, in_c);
            } else {
                const size_t at = ((size_t)y * w->in_w + (size_t)tap_x) * w->in_c;
                sum = hb_dot_s8(sum, weights, input + at, in_c);
            }
        }
    }
    return sum + (uint32_t)padding * (uint32_t)op->quantised.input_zero_point;
}

static void run(const uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8 op;
    memcpy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const int8_t *weights = (const int8_t *)(memory->constants + op.weights);
    const int32_t *bias = (const int32_t *)(const void *)(memory->constants + op.bias);
    const int32_t *multipliers =
        (const int32_t *)(const void *)(memory->constants + op.multipliers);
    const int8_t *shifts = (const int8_t *)(memory->constants + op.shifts);
    const size_t filter = (size_t)w->kernel_h * w->kernel_w * w->in_c;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps taps = hb_taps_inside(x, w->kernel_w, w->in_w);
            const int8_t *filter_weights = weights;
            for (int32_t c = 0; c < w->out_c; c++, filter_weights += filter) {
                const uint32_t start = (uint32_t)bias[c];
                const uint32_t sum =
                    w->dilation_w == 1
                        ? accumulate(&op, input, filter_weights, start, y, x, taps)
                        : accumulate_dilated(&op, input, filter_weights, start, y, x);
                *output++ =
                    hb_to_s8(hb_scale((int32_t)sum, multipliers[c], shifts[c]), &op.quantised);
            }
        }
    }
}

const struct hb_kernel hb_portable_conv_s8 = {HB_PLAN_CONV_S8, sizeof(struct hb_plan_conv_s8),
                                              check, run};
