/* MEAN, float32. */
#include "float.h"
#include "mean.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_f32 op;
    hb_const_copy(&op, record, sizeof op);
    return hb_reduce_check(&op.reduce, &op.head, memory, sizeof(float));
}

static float sum_of(const struct hb_plan_reduce *r, const float *first) {
    float sum = 0.0f;
    for (uint32_t i = 0; i < r->summed_0; i++, first += r->summed_stride_0) {
        const float *value = first;
        for (uint32_t j = r->summed_1; j > 0u; j--, value += r->summed_stride_1) {
            sum += *value;
        }
    }
    return sum;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_mean_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_reduce *r = &op.reduce;
    const float *row = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    const float count = (float)(r->summed_0 * r->summed_1);
    for (uint32_t i = 0; i < r->kept_0; i++, row += r->kept_stride_0) {
        const float *first = row;
        for (uint32_t j = 0; j < r->kept_1; j++, first += r->kept_stride_1) {
            *output++ = hb_clamp_f32(sum_of(r, first) / count, &op.range);
        }
    }
}

const struct hb_kernel hb_portable_mean_f32 = {HB_PLAN_MEAN_F32, sizeof(struct hb_plan_mean_f32),
                                               check, run};
