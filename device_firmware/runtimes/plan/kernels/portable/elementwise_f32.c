/* ADD of equal shapes and RELU/RELU6 on their own, float32. */
#include "float.h"

static enum hb_plan_fault check_add(const HB_CONST uint8_t *record,
                                    const struct hb_kernel_memory *memory) {
    struct hb_plan_add_f32 op;
    hb_const_copy(&op, record, sizeof op);
    return hb_tensors_ok(memory, &op.head, op.count, 4u, op.count, 4u) &&
                   hb_tensor_ok(memory, op.input_2, op.count, 4u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_TENSOR;
}

static void run_add(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_add_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const float *input_1 = hb_tensor_f32(memory, op.head.input);
    const float *input_2 = hb_tensor_f32(memory, op.input_2);
    float *output = hb_tensor_f32(memory, op.head.output);
    for (uint32_t i = 0; i < op.count; i++) {
        output[i] = hb_clamp_f32(input_1[i] + input_2[i], &op.range);
    }
}

static enum hb_plan_fault check_clamp(const HB_CONST uint8_t *record,
                                      const struct hb_kernel_memory *memory) {
    struct hb_plan_clamp_f32 op;
    hb_const_copy(&op, record, sizeof op);
    return hb_tensors_ok(memory, &op.head, op.count, 4u, op.count, 4u) ? HB_PLAN_FAULT_NONE
                                                                       : HB_PLAN_FAULT_TENSOR;
}

static void run_clamp(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_clamp_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    for (uint32_t i = 0; i < op.count; i++) {
        output[i] = hb_clamp_f32(input[i], &op.range);
    }
}

const struct hb_kernel hb_portable_add_f32 = {HB_PLAN_ADD_F32, sizeof(struct hb_plan_add_f32),
                                              check_add, run_add};
const struct hb_kernel hb_portable_clamp_f32 = {HB_PLAN_CLAMP_F32, sizeof(struct hb_plan_clamp_f32),
                                                check_clamp, run_clamp};
