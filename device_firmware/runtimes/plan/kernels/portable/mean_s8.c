/* MEAN, int8, of [rows][depth] over rows: the planner divides the multiplier by rows. */
#include "requantise.h"
#include "window.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_s8 op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u || op.rows > HB_WINDOW_MAX_ELEMENTS) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised) || !hb_scale_ok(op.multiplier, op.shift)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, (uint64_t)op.rows * op.depth, 1u, op.depth, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return HB_PLAN_FAULT_NONE;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const int32_t offset = (int32_t)op.rows * op.quantised.input_zero_point;
    for (uint32_t c = 0; c < op.depth; c++) {
        const int8_t *value = input + c;
        int32_t sum = -offset;
        for (uint32_t row = op.rows; row > 0u; row--, value += op.depth) {
            sum += *value;
        }
        output[c] = hb_to_s8(hb_scale(sum, op.multiplier, op.shift), &op.quantised);
    }
}

const struct hb_kernel hb_portable_mean_s8 = {HB_PLAN_MEAN_S8, sizeof(struct hb_plan_mean_s8),
                                              check, run};
