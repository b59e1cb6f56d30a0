/* QUANTIZE float32 to int8, DEQUANTIZE int8 to float32. */
#include "requantise.h"

static enum hb_plan_fault check_counts(const struct hb_kernel_memory *memory,
                                       const struct hb_plan_head *head,
                                       const struct hb_plan_quantised *q, uint32_t count,
                                       uint32_t in_bytes, uint32_t out_bytes) {
    if (!hb_quantised_ok(q)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    return hb_tensors_ok(memory, head, count, in_bytes, count, out_bytes) ? HB_PLAN_FAULT_NONE
                                                                          : HB_PLAN_FAULT_TENSOR;
}

static enum hb_plan_fault check_quantize(const HB_CONST uint8_t *record,
                                         const struct hb_kernel_memory *memory) {
    struct hb_plan_quantize_f32_s8 op;
    hb_const_copy(&op, record, sizeof op);
    return op.scale > 0.0f
               ? check_counts(memory, &op.head, &op.quantised, op.count, sizeof(float), 1u)
               : HB_PLAN_FAULT_PARAMETER;
}

/* To nearest, ties away from zero; what int8 cannot hold (NaN too) saturates before. */
static int32_t round_to_s9(float x) {
    if (!(x > -512.0f)) {
        return -512;
    }
    if (x > 512.0f) {
        return 512;
    }
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole; /* exact; x + 0.5f would not be */
    return rest >= 0.5f ? whole + 1 : rest <= -0.5f ? whole - 1 : whole;
}

static void run_quantize(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_quantize_f32_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const float *input = (const float *)(const void *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    for (uint32_t i = 0; i < op.count; i++) {
        output[i] = hb_to_s8(round_to_s9(input[i] / op.scale), &op.quantised);
    }
}

static enum hb_plan_fault check_dequantize(const HB_CONST uint8_t *record,
                                           const struct hb_kernel_memory *memory) {
    struct hb_plan_dequantize_s8_f32 op;
    hb_const_copy(&op, record, sizeof op);
    return check_counts(memory, &op.head, &op.quantised, op.count, 1u, sizeof(float));
}

static void run_dequantize(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_dequantize_s8_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    float *output = (float *)(void *)(memory->arena + op.head.output);
    for (uint32_t i = 0; i < op.count; i++) {
        output[i] = op.scale * (float)(input[i] - op.quantised.input_zero_point);
    }
}

const struct hb_kernel hb_portable_quantize_f32_s8 = {
    HB_PLAN_QUANTIZE_F32_S8, sizeof(struct hb_plan_quantize_f32_s8), check_quantize, run_quantize};
const struct hb_kernel hb_portable_dequantize_s8_f32 = {HB_PLAN_DEQUANTIZE_S8_F32,
                                                        sizeof(struct hb_plan_dequantize_s8_f32),
                                                        check_dequantize, run_dequantize};
