/* float32: ADD, SUB, MUL, MAXIMUM, MINIMUM with broadcasting and with a constant operand; RELU and
 * its kin, LEAKY_RELU, HARD_SWISH, LOGISTIC, TANH on their own. */
#include "broadcast.h"
#include "float.h"

enum unary_mode { LEAKY_RELU = 0, HARD_SWISH = 1, LOGISTIC = 2, TANH = 3 };

static enum hb_plan_fault check_binary(const HB_CONST uint8_t *record,
                                       const struct hb_kernel_memory *memory) {
    struct hb_plan_binary_f32 op;
    hb_const_copy(&op, record, sizeof op);
    return hb_broadcast_check(&op.broadcast, &op.head, memory, sizeof(float));
}

static float binary(uint32_t mode, float x, float y) {
    switch (mode) {
    case HB_BINARY_ADD:
        return x + y;
    case HB_BINARY_SUBTRACT:
        return x - y;
    case HB_BINARY_SUBTRACT_FROM:
        return y - x;
    case HB_BINARY_MULTIPLY:
        return x * y;
    case HB_BINARY_MAXIMUM:
        return x > y ? x : y;
    default:
        return x < y ? x : y;
    }
}

static void run_binary(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_binary_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_axes axes = hb_axes_of(&op.broadcast);
    const float *input_1 = hb_tensor_f32(memory, op.head.input);
    const float *input_2 = hb_operand_2(&op.broadcast, memory);
    float *output = hb_tensor_f32(memory, op.head.output);
    const uint32_t count = axes.size[HB_BROADCAST_AXES - 1];
    const uint32_t step_1 = axes.stride_1[HB_BROADCAST_AXES - 1];
    const uint32_t step_2 = axes.stride_2[HB_BROADCAST_AXES - 1];
    struct hb_line line = {{0}, 0, 0};
    do {
        const float *x = input_1 + line.first_1;
        const float *y = input_2 + line.first_2;
        for (uint32_t i = 0; i < count; i++, x += step_1, y += step_2) {
            *output++ = hb_clamp_f32(binary(op.broadcast.mode, *x, *y), &op.range);
        }
    } while (hb_next_line(&line, &axes));
}

static enum hb_plan_fault check_unary(const HB_CONST uint8_t *record,
                                      const struct hb_kernel_memory *memory) {
    struct hb_plan_unary_f32 op;
    hb_const_copy(&op, record, sizeof op);
    if (op.mode > TANH) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    return hb_tensors_ok(memory, &op.head, op.count, 4u, op.count, 4u) ? HB_PLAN_FAULT_NONE
                                                                       : HB_PLAN_FAULT_TENSOR;
}

static float logistic(float x) {
    const float e = hb_exp_of_negative(x < 0.0f ? x : -x);
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

/* Near 0 by its Taylor polynomial of order 9, where 1 - exp would lose its digits. */
static float tanh_of(float x) {
    if (x > -0.35f && x < 0.35f) {
        const float s = x * x;
        return x + x * s *
                       (-1.0f / 3.0f +
                        s * (2.0f / 15.0f + s * (-17.0f / 315.0f + s * (62.0f / 2835.0f))));
    }
    const float e = hb_exp_of_negative(-2.0f * (x < 0.0f ? -x : x));
    const float positive = (1.0f - e) / (1.0f + e);
    return x < 0.0f ? -positive : positive;
}

static float unary(const struct hb_plan_unary_f32 *op, float x) {
    if (x != x) { /* not a number stays so */
        return x;
    }
    switch (op->mode) {
    case LEAKY_RELU:
        return x > 0.0f ? x : x * op->alpha;
    case HARD_SWISH:
        return x * (x < -3.0f ? 0.0f : x > 3.0f ? 6.0f : x + 3.0f) / 6.0f;
    case LOGISTIC:
        return logistic(x);
    default:
        return tanh_of(x);
    }
}

static void run_unary(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_unary_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    for (uint32_t i = 0; i < op.count; i++) {
        output[i] = unary(&op, input[i]);
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

const struct hb_kernel hb_portable_binary_f32 = {
    HB_PLAN_BINARY_F32, sizeof(struct hb_plan_binary_f32), check_binary, run_binary};
const struct hb_kernel hb_portable_unary_f32 = {HB_PLAN_UNARY_F32, sizeof(struct hb_plan_unary_f32),
                                                check_unary, run_unary};
const struct hb_kernel hb_portable_clamp_f32 = {HB_PLAN_CLAMP_F32, sizeof(struct hb_plan_clamp_f32),
                                                check_clamp, run_clamp};
