/* FULLY_CONNECTED, int8, weights [units][depth]; the input zero point is folded into the bias. */
#include "dot_s8.h"
#include "requantise.h"

static enum hb_plan_fault check(const uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8 op;
    memcpy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u || op.units == 0u || op.depth > INT32_MAX ||
        (op.scales != 1u && op.scales != op.units)) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, (uint64_t)op.rows * op.depth, 1u,
                       (uint64_t)op.rows * op.units, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return hb_per_channel_check(memory, (uint64_t)op.units * op.depth, op.weights, op.units,
                                op.bias, op.scales, op.multipliers, op.shifts);
}

static void run(const uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8 op;
    memcpy(&op, record, sizeof op);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const int32_t *bias = (const int32_t *)(const void *)(memory->constants + op.bias);
    const int32_t *multipliers =
        (const int32_t *)(const void *)(memory->constants + op.multipliers);
    const int8_t *shifts = (const int8_t *)(memory->constants + op.shifts);
    const uint32_t scale_step = op.scales == 1u ? 0u : 1u;
    for (uint32_t row = 0; row < op.rows; row++, input += op.depth) {
        const int8_t *weights = (const int8_t *)(memory->constants + op.weights);
        uint32_t scale = 0;
        for (uint32_t unit = 0; unit < op.units; unit++, weights += op.depth) {
            const uint32_t sum = hb_dot_s8((uint32_t)bias[unit], weights, input, (int32_t)op.depth);
            *output++ =
                hb_to_s8(hb_scale((int32_t)sum, multipliers[scale], shifts[scale]), &op.quantised);
            scale += scale_step;
        }
    }
}

const struct hb_kernel hb_portable_fc_s8 = {HB_PLAN_FC_S8, sizeof(struct hb_plan_fc_s8), check,
                                            run};
