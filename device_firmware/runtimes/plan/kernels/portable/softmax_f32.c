/* SOFTMAX, float32. */
#include "float.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_softmax_f32 op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!(op.beta >= 0.0f)) { /* exponents are never positive */
        return HB_PLAN_FAULT_PARAMETER;
    }
    const uint64_t elements = (uint64_t)op.rows * op.depth;
    return hb_tensors_ok(memory, &op.head, elements, 4u, elements, 4u) ? HB_PLAN_FAULT_NONE
                                                                       : HB_PLAN_FAULT_TENSOR;
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
            output[i] = hb_exp_of_negative((input[i] - max) * op.beta);
            sum += output[i];
        }
        for (uint32_t i = 0; i < op.depth; i++) {
            output[i] /= sum;
        }
    }
}

const struct hb_kernel hb_portable_softmax_f32 = {HB_PLAN_SOFTMAX_F32,
                                                  sizeof(struct hb_plan_softmax_f32), check, run};
