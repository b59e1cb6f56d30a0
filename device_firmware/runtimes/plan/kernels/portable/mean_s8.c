/* MEAN, int8: the planner divides the multiplier by the number of elements of a sum. */
#include "mean.h"
#include "requantise.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_s8 op;
    hb_const_copy(&op, record, sizeof op);
    if (!hb_quantised_ok(&op.quantised) || !hb_scale_ok(op.multiplier, op.shift)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    return hb_reduce_check(&op.reduce, &op.head, memory, 1u);
}

static int32_t sum_of(const struct hb_plan_reduce *r, const int8_t *first) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < r->summed_0; i++, first += r->summed_stride_0) {
        const int8_t *value = first;
        for (uint32_t j = r->summed_1; j > 0u; j--, value += r->summed_stride_1) {
            sum += *value;
        }
    }
    return sum;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_reduce *r = &op.reduce;
    const int8_t *row = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const int32_t offset = (int32_t)(r->summed_0 * r->summed_1) * op.quantised.input_zero_point;
    for (uint32_t i = 0; i < r->kept_0; i++, row += r->kept_stride_0) {
        const int8_t *first = row;
        for (uint32_t j = 0; j < r->kept_1; j++, first += r->kept_stride_1) {
            const int32_t sum = sum_of(r, first) - offset;
            *output++ = hb_to_s8(hb_scale(sum, op.multiplier, op.shift), &op.quantised);
        }
    }
}

const struct hb_kernel hb_portable_mean_s8 = {HB_PLAN_MEAN_S8, sizeof(struct hb_plan_mean_s8),
                                              check, run};
