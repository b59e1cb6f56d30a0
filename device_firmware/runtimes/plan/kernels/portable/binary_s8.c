/* ADD, SUB, MUL, MAXIMUM, MINIMUM, int8, with broadcasting and with a constant operand. Sums are
 * computed as in add_s8.c; a product of two differences is scaled once. */
#include "broadcast.h"
#include "requantise.h"

#define EXTRA_BITS 20u

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_binary_s8 op;
    hb_const_copy(&op, record, sizeof op);
    if (!hb_quantised_ok(&op.quantised) || !hb_in_s8(op.input_2_zero_point) ||
        !hb_scale_ok(op.multiplier_1, op.shift_1) || op.shift_1 > 0 ||
        !hb_scale_ok(op.multiplier_2, op.shift_2) || op.shift_2 > 0 ||
        !hb_scale_ok(op.multiplier, op.shift)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    return hb_broadcast_check(&op.broadcast, &op.head, memory, 1u);
}

static int32_t widened(int32_t x, int32_t multiplier, int32_t shift) {
    return hb_scale_down(x * ((int32_t)1 << EXTRA_BITS), multiplier, shift);
}

static int8_t result(const struct hb_plan_binary_s8 *op, int8_t x, int8_t y) {
    const int32_t a = x - op->quantised.input_zero_point;
    const int32_t b = y - op->input_2_zero_point;
    int32_t value;
    switch (op->broadcast.mode) {
    case HB_BINARY_MAXIMUM:
        return x > y ? x : y;
    case HB_BINARY_MINIMUM:
        return x < y ? x : y;
    case HB_BINARY_MULTIPLY:
        value = a * b;
        break;
    default:
        value = widened(b, op->multiplier_2, op->shift_2);
        value = op->broadcast.mode == HB_BINARY_SUBTRACT ? -value : value;
        value += (op->broadcast.mode == HB_BINARY_SUBTRACT_FROM ? -1 : 1) *
                 widened(a, op->multiplier_1, op->shift_1);
        break;
    }
    return hb_to_s8(hb_scale(value, op->multiplier, op->shift), &op->quantised);
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_binary_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_axes axes = hb_axes_of(&op.broadcast);
    const int8_t *input_1 = (const int8_t *)(memory->arena + op.head.input);
    const int8_t *input_2 = hb_operand_2(&op.broadcast, memory);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const uint32_t count = axes.size[HB_BROADCAST_AXES - 1];
    const uint32_t step_1 = axes.stride_1[HB_BROADCAST_AXES - 1];
    const uint32_t step_2 = axes.stride_2[HB_BROADCAST_AXES - 1];
    struct hb_line line = {{0}, 0, 0};
    do {
        const int8_t *x = input_1 + line.first_1;
        const int8_t *y = input_2 + line.first_2;
        for (uint32_t i = 0; i < count; i++, x += step_1, y += step_2) {
            *output++ = result(&op, *x, *y);
        }
    } while (hb_next_line(&line, &axes));
}

const struct hb_kernel hb_portable_binary_s8 = {HB_PLAN_BINARY_S8, sizeof(struct hb_plan_binary_s8),
                                                check, run};
