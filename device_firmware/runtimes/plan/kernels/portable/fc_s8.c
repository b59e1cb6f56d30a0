/* FULLY_CONNECTED, int8, weights [units][depth]; the input zero point is folded into the bias. */
#include "dot_s8.h"
#include "requantise.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8 op;
    hb_const_copy(&op, record, sizeof op);
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

struct constants {
    const HB_CONST int8_t *weights;
    const HB_CONST int32_t *bias;
    const HB_CONST int32_t *multipliers;
    const HB_CONST int8_t *shifts;
};

/* Units unit .. unit + units - 1 of one row. */
HB_INLINE void units_of(const struct hb_plan_fc_s8 *op, const struct constants *k,
                        const int8_t *input, uint32_t unit, uint32_t units, int8_t *output) {
    uint32_t sums[HB_BLOCK];
    for (uint32_t i = 0; i < units; i++) {
        sums[i] = (uint32_t)k->bias[unit + i];
    }
    hb_dot_s8(sums, (int32_t)units, input, 0, k->weights + (size_t)unit * (size_t)op->depth,
              (size_t)op->depth, (int32_t)op->depth);
    for (uint32_t i = 0; i < units; i++) {
        const uint32_t scale = op->scales == 1u ? 0u : unit + i;
        const int32_t scaled = hb_scale((int32_t)sums[i], k->multipliers[scale], k->shifts[scale]);
        output[unit + i] = hb_to_s8(scaled, &op->quantised);
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const HB_CONST uint8_t *base = memory->constants;
    const struct constants k = {
        (const HB_CONST int8_t *)(base + op.weights),
        (const HB_CONST int32_t *)(const HB_CONST void *)(base + op.bias),
        (const HB_CONST int32_t *)(const HB_CONST void *)(base + op.multipliers),
        (const HB_CONST int8_t *)(base + op.shifts)};
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    for (uint32_t row = 0; row < op.rows; row++) {
        uint32_t unit = 0;
        for (; HB_BLOCK > 1 && op.units - unit >= HB_BLOCK; unit += HB_BLOCK) {
            units_of(&op, &k, input, unit, HB_BLOCK, output);
        }
        for (; unit < op.units; unit++) {
            units_of(&op, &k, input, unit, 1u, output);
        }
        input += op.depth;
        output += op.units;
    }
}

const struct hb_kernel hb_portable_fc_s8 = {HB_PLAN_FC_S8, sizeof(struct hb_plan_fc_s8), check,
                                            run};
