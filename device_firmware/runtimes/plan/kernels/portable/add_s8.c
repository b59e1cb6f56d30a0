/* ADD, int8, same shapes: both inputs are brought to a common scale with 20 extra bits. */
#include "requantise.h"

#define EXTRA_BITS 20u

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_add_s8 op;
    hb_const_copy(&op, record, sizeof op);
    if (!hb_quantised_ok(&op.quantised) || !hb_in_s8(op.input_2_zero_point) ||
        !hb_scale_ok(op.multiplier_1, op.shift_1) || op.shift_1 > 0 ||
        !hb_scale_ok(op.multiplier_2, op.shift_2) || op.shift_2 > 0 ||
        !hb_scale_ok(op.multiplier, op.shift)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, op.count, 1u, op.count, 1u) ||
        !hb_tensor_ok(memory, op.input_2, op.count, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return HB_PLAN_FAULT_NONE;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_add_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *input_1 = (const int8_t *)(memory->arena + op.head.input);
    const int8_t *input_2 = (const int8_t *)(memory->arena + op.input_2);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    for (uint32_t i = 0; i < op.count; i++) {
        const int32_t a = (input_1[i] - op.quantised.input_zero_point) * ((int32_t)1 << EXTRA_BITS);
        const int32_t b = (input_2[i] - op.input_2_zero_point) * ((int32_t)1 << EXTRA_BITS);
        const int32_t sum = hb_scale_down(a, op.multiplier_1, op.shift_1) +
                            hb_scale_down(b, op.multiplier_2, op.shift_2);
        output[i] = hb_to_s8(hb_scale(sum, op.multiplier, op.shift), &op.quantised);
    }
}

const struct hb_kernel hb_portable_add_s8 = {HB_PLAN_ADD_S8, sizeof(struct hb_plan_add_s8), check,
                                             run};
