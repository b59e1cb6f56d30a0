/* MEAN, float32, of [rows][depth] over rows. */
#include "float.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_f32 op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    return hb_tensors_ok(memory, &op.head, (uint64_t)op.rows * op.depth, 4u, op.depth, 4u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_TENSOR;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    for (uint32_t c = 0; c < op.depth; c++) {
        const float *value = input + c;
        float sum = 0.0f;
        for (uint32_t row = op.rows; row > 0u; row--, value += op.depth) {
            sum += *value;
        }
        output[c] = hb_clamp_f32(sum / (float)op.rows, &op.range);
    }
}

const struct hb_kernel hb_portable_mean_f32 = {HB_PLAN_MEAN_F32, sizeof(struct hb_plan_mean_f32),
                                               check, run};
