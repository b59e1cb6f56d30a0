/* Every int8 operator of one element: the host computed its 256 results. Input may be output. */
#include "../hb_kernel.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_lut_s8 op;
    hb_const_copy(&op, record, sizeof op);
    if (!hb_tensors_ok(memory, &op.head, op.count, 1u, op.count, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return hb_constant_ok(memory, op.table, 256u, 1u) ? HB_PLAN_FAULT_NONE : HB_PLAN_FAULT_CONSTANT;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_lut_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const HB_CONST uint8_t *table = memory->constants + op.table;
    const uint8_t *input = memory->arena + op.head.input;
    uint8_t *output = memory->arena + op.head.output;
    for (uint32_t i = 0; i < op.count; i++) {
        output[i] = table[input[i] ^ 0x80u]; /* -128 comes first */
    }
}

const struct hb_kernel hb_portable_lut_s8 = {HB_PLAN_LUT_S8, sizeof(struct hb_plan_lut_s8), check,
                                             run};
