/* FULLY_CONNECTED, float32 by int8 weights [units][depth]; each row is quantised on its own. */
#include "dot_s8.h"
#include "hybrid.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_hybrid op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u || op.units == 0u || op.depth > INT32_MAX ||
        op.asymmetric > 1u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_tensors_ok(memory, &op.head, (uint64_t)op.rows * op.depth, 4u,
                       (uint64_t)op.rows * op.units, 4u) ||
        !hb_tensor_ok(memory, op.scratch, op.depth, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return hb_constant_ok(memory, op.weights, (uint64_t)op.units * op.depth, 1u) &&
                   hb_constant_ok(memory, op.bias, op.units, 4u) &&
                   hb_constant_ok(memory, op.weight_scales, 1u, 4u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_CONSTANT;
}

/* Units unit .. unit + units - 1 of one row. */
HB_INLINE void units_of(const struct hb_plan_fc_hybrid *op, const struct hb_kernel_memory *memory,
                        const int8_t *row, struct hb_dynamic d, uint32_t unit, uint32_t units,
                        float *output) {
    uint32_t sums[HB_BLOCK] = {0};
    const HB_CONST int8_t *weights =
        (const HB_CONST int8_t *)(memory->constants + op->weights) + (size_t)unit * op->depth;
    const HB_CONST float *bias = hb_constant_f32(memory, op->bias);
    const float scale = d.scale * *hb_constant_f32(memory, op->weight_scales);
    hb_dot_s8(sums, (int32_t)units, row, -d.zero_point, weights, (size_t)op->depth,
              (int32_t)op->depth);
    for (uint32_t i = 0; i < units; i++) {
        const float value = bias[unit + i] + (float)(int32_t)sums[i] * scale;
        output[unit + i] = hb_clamp_f32(value, &op->range);
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_hybrid op;
    hb_const_copy(&op, record, sizeof op);
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    int8_t *row = (int8_t *)(memory->arena + op.scratch);
    for (uint32_t i = 0; i < op.rows; i++, input += op.depth, output += op.units) {
        const struct hb_dynamic d = hb_quantise_dynamic(input, op.depth, op.asymmetric != 0u, row);
        uint32_t unit = 0;
        for (; HB_BLOCK > 1 && op.units - unit >= HB_BLOCK; unit += HB_BLOCK) {
            units_of(&op, memory, row, d, unit, HB_BLOCK, output);
        }
        for (; unit < op.units; unit++) {
            units_of(&op, memory, row, d, unit, 1u, output);
        }
    }
}

const struct hb_kernel hb_portable_fc_hybrid = {HB_PLAN_FC_HYBRID, sizeof(struct hb_plan_fc_hybrid),
                                                check, run};
