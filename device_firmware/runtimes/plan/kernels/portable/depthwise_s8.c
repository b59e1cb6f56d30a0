/* DEPTHWISE_CONV_2D, int8. The planner turns the weights round to [out_c][kernel_h][kernel_w], so
 * that a channel reads them in order; output channel = input channel * multiplier + m.
 * Zero point and padding as in conv_s8.c. */
#include "dot_s8.h"
#include "requantise.h"
#include "window.h"

static enum hb_plan_fault check(const uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8 op;
    memcpy(&op, record, sizeof op);
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
    return hb_per_channel_check(memory, (uint64_t)w->out_c * w->kernel_h * w->kernel_w, op.weights,
                                w->out_c, op.bias, w->out_c, op.multipliers, op.shifts);
}

/* A window that lies on the input: values points at its first tap. */
static uint32_t accumulate(const struct hb_plan_window *w, const int8_t *values,
                           const int8_t *weights, uint32_t sum) {
    const int32_t step = w->dilation_w * w->in_c;
    const int32_t row_step = w->dilation_h * w->in_w * w->in_c;
    for (int32_t ky = w->kernel_h; ky > 0; ky--, values += row_step) {
        const int8_t *value = values;
        int32_t kx = w->kernel_w;
        for (; kx >= 3; kx -= 3, value += 3 * step, weights += 3) {
            sum = hb_mac(sum, value[0], weights[0]);
            sum = hb_mac(sum, value[step], weights[1]);
            sum = hb_mac(sum, value[2 * step], weights[2]);
        }
        for (; kx > 0; kx--, value += step) {
            sum = hb_mac(sum, *value, *weights++);
        }
    }
    return sum;
}

/* A window that reaches over the border. */
static uint32_t accumulate_border(const struct hb_plan_depthwise_s8 *op, const int8_t *input,
                                  const int8_t *weights, uint32_t sum, int32_t y, int32_t x) {
    const struct hb_plan_window *w = &op->window;
    const int32_t zero_point = op->quantised.input_zero_point;
    for (int32_t ky = 0; ky < w->kernel_h; ky++, y += w->dilation_h) {
        const bool row_inside = y >= 0 && y < w->in_h;
        int32_t tap_x = x;
        for (int32_t kx = 0; kx < w->kernel_w; kx++, tap_x += w->dilation_w) {
            const bool inside = row_inside && tap_x >= 0 && tap_x < w->in_w;
            const int32_t value =
                inside ? input[((size_t)y * w->in_w + (size_t)tap_x) * w->in_c] : zero_point;
            sum = hb_mac(sum, value, *weights++);
        }
    }
    return sum;
}

static void run(const uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8 op;
    memcpy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const int32_t *bias = (const int32_t *)(const void *)(memory->constants + op.bias);
    const int32_t *multipliers =
        (const int32_t *)(const void *)(memory->constants + op.multipliers);
    const int8_t *shifts = (const int8_t *)(memory->constants + op.shifts);
    const int32_t reach_y = (w->kernel_h - 1) * w->dilation_h;
    const int32_t reach_x = (w->kernel_w - 1) * w->dilation_w;
    const int32_t filter = w->kernel_h * w->kernel_w;
    const int32_t depth_multiplier = w->out_c / w->in_c;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const bool inside = y >= 0 && x >= 0 && y + reach_y < w->in_h && x + reach_x < w->in_w;
            const int8_t *weights = (const int8_t *)(memory->constants + op.weights);
            int32_t c = 0;
            for (int32_t in_c = 0; in_c < w->in_c; in_c++) {
                for (int32_t m = 0; m < depth_multiplier; m++, c++, weights += filter) {
                    uint32_t sum = (uint32_t)bias[c];
                    if (inside) {
                        const size_t at = ((size_t)y * w->in_w + (size_t)x) * w->in_c;
                        sum = accumulate(w, input + at + in_c, weights, sum);
                    } else {
                        sum = accumulate_border(&op, input + in_c, weights, sum, y, x);
                    }
                    *output++ =
                        hb_to_s8(hb_scale((int32_t)sum, multipliers[c], shifts[c]), &op.quantised);
                }
            }
        }
    }
}

const struct hb_kernel hb_portable_depthwise_s8 = {HB_PLAN_DEPTHWISE_S8,
                                                   sizeof(struct hb_plan_depthwise_s8), check, run};
