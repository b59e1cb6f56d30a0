/* SOFTMAX, float32. exp is computed here: no libm is needed on the device. */
#include "float.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_softmax_f32 op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    const uint64_t elements = (uint64_t)op.rows * op.depth;
    return hb_tensors_ok(memory, &op.head, elements, 4u, elements, 4u) ? HB_PLAN_FAULT_NONE
                                                                       : HB_PLAN_FAULT_TENSOR;
}

/* exp(x) for x <= 0, relative error below 3e-7; 0 below -87 and for NaN.
 * x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) by its Taylor polynomial of order 7. */
static float exp_of_negative(float x) {
    if (!(x > -87.0f)) {
        return 0.0f;
    }
    const int32_t n = (int32_t)(x * 1.44269504f - 0.5f);
    /* ln 2 in two parts: n * 0.693359375 is exact */
    const float r = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float sum = 1.0f + r / 7.0f;
    for (int32_t k = 6; k > 0; k--) {
        sum = 1.0f + r * sum / (float)k;
    }
    const uint32_t bits = (uint32_t)(n + 127) << 23; /* 2^n; n >= -126 */
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_softmax_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    for (uint32_t row = 0; row < op.rows; row++, input += op.depth, output += op.depth) {
        float max = input[0];
        for (uint32_t i = 1; i < op.depth; i++) {
            max = input[i] > max ? input[i] : max;
        }
        float sum = 0.0f;
        for (uint32_t i = 0; i < op.depth; i++) {
            output[i] = exp_of_negative((input[i] - max) * op.beta);
            sum += output[i];
        }
        for (uint32_t i = 0; i < op.depth; i++) {
            output[i] /= sum;
        }
    }
}

const struct hb_kernel hb_portable_softmax_f32 = {HB_PLAN_SOFTMAX_F32,
                                                  sizeof(struct hb_plan_softmax_f32), check, run};
