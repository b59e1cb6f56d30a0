/* CONV_2D and DEPTHWISE_CONV_2D, float32 by int8 weights; the whole input is quantised at once.
 * Weights: [out_c][kernel_h][kernel_w][in_c], or [out_c][kernel_h][kernel_w]. */
#include "dot_s8.h"
#include "hybrid.h"
#include "window.h"

static enum hb_plan_fault check(const struct hb_plan_conv_hybrid *op,
                                const struct hb_kernel_memory *memory, uint32_t filter_c) {
    const struct hb_plan_window *w = &op->window;
    if (!hb_window_ok(w) || hb_window_in(w) > UINT32_MAX || op->asymmetric > 1u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_tensors_ok(memory, &op->head, hb_window_in(w), 4u, hb_window_out(w), 4u) ||
        !hb_tensor_ok(memory, op->scratch, hb_window_in(w), 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint64_t elements = (uint64_t)w->out_c * w->kernel_h * w->kernel_w * filter_c;
    return hb_constant_ok(memory, op->weights, elements, 1u) &&
                   hb_constant_ok(memory, op->bias, w->out_c, 4u) &&
                   hb_constant_ok(memory, op->weight_scales, w->out_c, 4u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_CONSTANT;
}

static enum hb_plan_fault check_conv(const HB_CONST uint8_t *record,
                                     const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_hybrid op;
    hb_const_copy(&op, record, sizeof op);
    return check(&op, memory, op.window.in_c);
}

static enum hb_plan_fault check_depthwise(const HB_CONST uint8_t *record,
                                          const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_hybrid op;
    hb_const_copy(&op, record, sizeof op);
    if (op.window.in_c == 0u || op.window.out_c % op.window.in_c != 0) {
        return HB_PLAN_FAULT_SHAPE;
    }
    return check(&op, memory, 1u);
}

/* The sum of one window: `count` neighbouring values per tap. */
static uint32_t accumulate(const struct hb_plan_window *w, const int8_t *input, int32_t count,
                           int32_t offset, const HB_CONST int8_t *weights, int32_t y, int32_t x) {
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < w->kernel_h; ky++, y += w->dilation_h) {
        int32_t tap_x = x;
        for (int32_t kx = 0; kx < w->kernel_w; kx++, tap_x += w->dilation_w, weights += count) {
            if (y >= 0 && y < w->in_h && tap_x >= 0 && tap_x < w->in_w) {
                const size_t at = ((size_t)y * w->in_w + (size_t)tap_x) * w->in_c;
                hb_dot_s8(&sum, 1, input + at, offset, weights, 0, count);
            }
        }
    }
    return sum;
}

static void run(const struct hb_plan_conv_hybrid *op, const struct hb_kernel_memory *memory,
                int32_t count, int32_t channels_per_input) {
    const struct hb_plan_window *w = &op->window;
    int8_t *input = (int8_t *)(memory->arena + op->scratch);
    float *output = hb_tensor_f32(memory, op->head.output);
    const HB_CONST float *bias = hb_constant_f32(memory, op->bias);
    const HB_CONST float *scales = hb_constant_f32(memory, op->weight_scales);
    const struct hb_dynamic d =
        hb_quantise_dynamic(hb_tensor_f32(memory, op->head.input), (uint32_t)hb_window_in(w),
                            op->asymmetric != 0u, input);
    const size_t filter = (size_t)w->kernel_h * w->kernel_w * (size_t)count;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const HB_CONST int8_t *weights =
                (const HB_CONST int8_t *)memory->constants + op->weights;
            for (int32_t c = 0; c < w->out_c; c++, weights += filter) {
                const int8_t *from =
                    channels_per_input == 0 ? input : input + c / channels_per_input;
                const uint32_t sum = accumulate(w, from, count, -d.zero_point, weights, y, x);
                const float value = (float)(int32_t)sum * (d.scale * scales[c]) + bias[c];
                *output++ = hb_clamp_f32(value, &op->range);
            }
        }
    }
}

static void run_conv(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_hybrid op;
    hb_const_copy(&op, record, sizeof op);
    run(&op, memory, op.window.in_c, 0);
}

static void run_depthwise(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_hybrid op;
    hb_const_copy(&op, record, sizeof op);
    run(&op, memory, 1, op.window.out_c / op.window.in_c);
}

const struct hb_kernel hb_portable_conv_hybrid = {
    HB_PLAN_CONV_HYBRID, sizeof(struct hb_plan_conv_hybrid), check_conv, run_conv};
const struct hb_kernel hb_portable_depthwise_hybrid = {HB_PLAN_DEPTHWISE_HYBRID,
                                                       sizeof(struct hb_plan_depthwise_hybrid),
                                                       check_depthwise, run_depthwise};
