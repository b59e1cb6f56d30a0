/* DEPTHWISE_CONV_2D, float32, weights [out_c][kernel_h][kernel_w]. */
#include "float.h"
#include "window.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->out_c % w->in_c != 0) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 4u, hb_window_out(w), 4u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint64_t elements = (uint64_t)w->out_c * w->kernel_h * w->kernel_w;
    return hb_constant_ok(memory, op.weights, elements, 4u) &&
                   hb_constant_ok(memory, op.bias, w->out_c, 4u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_CONSTANT;
}

static float accumulate(const struct hb_plan_window *w, const float *input,
                        const HB_CONST float *weights, float sum, int32_t y, int32_t x) {
    for (int32_t ky = 0; ky < w->kernel_h; ky++, y += w->dilation_h) {
        const bool row_inside = y >= 0 && y < w->in_h;
        int32_t tap_x = x;
        for (int32_t kx = 0; kx < w->kernel_w; kx++, tap_x += w->dilation_w, weights++) {
            if (row_inside && tap_x >= 0 && tap_x < w->in_w) {
                sum += *weights * input[((size_t)y * w->in_w + (size_t)tap_x) * w->in_c];
            }
        }
    }
    return sum;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    const int32_t depth_multiplier = w->out_c / w->in_c;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const HB_CONST float *weights = hb_constant_f32(memory, op.weights);
            const HB_CONST float *bias = hb_constant_f32(memory, op.bias);
            for (int32_t c = 0; c < w->in_c; c++) {
                for (int32_t m = 0; m < depth_multiplier; m++) {
                    const float sum = accumulate(w, input + c, weights, *bias++, y, x);
                    *output++ = hb_clamp_f32(sum, &op.range);
                    weights += w->kernel_h * w->kernel_w;
                }
            }
        }
    }
}

const struct hb_kernel hb_portable_depthwise_f32 = {
    HB_PLAN_DEPTHWISE_F32, sizeof(struct hb_plan_depthwise_f32), check, run};
