/* FULLY_CONNECTED, float32, weights [units][depth]. */
#include "float.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_f32 op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u || op.units == 0u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_tensors_ok(memory, &op.head, (uint64_t)op.rows * op.depth, 4u,
                       (uint64_t)op.rows * op.units, 4u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return hb_constant_ok(memory, op.weights, (uint64_t)op.units * op.depth, 4u) &&
                   hb_constant_ok(memory, op.bias, op.units, 4u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_CONSTANT;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    const HB_CONST float *bias = hb_constant_f32(memory, op.bias);
    for (uint32_t row = 0; row < op.rows; row++, input += op.depth) {
        const HB_CONST float *weights = hb_constant_f32(memory, op.weights);
        for (uint32_t unit = 0; unit < op.units; unit++, weights += op.depth) {
            *output++ = hb_clamp_f32(hb_dot_f32(bias[unit], weights, input, op.depth), &op.range);
        }
    }
}

const struct hb_kernel hb_portable_fc_f32 = {HB_PLAN_FC_F32, sizeof(struct hb_plan_fc_f32), check,
                                             run};
