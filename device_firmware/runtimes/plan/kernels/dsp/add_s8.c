/* ADD, int8, same shapes, where the scale of one input is the larger one: TensorFlow Lite halves
 * that input exactly, so only the other one is requantised.
 *
 *     t = (other - zero_point) * 2^20, requantised
 *     s = t + (halved - zero_point) * 2^19
 *
 * Both requantisations are smmlar(2x, multiplier, 2^(shift - 1)) + (x < 0 ? -1 : 0) >> shift: the
 * first rounding is smmlar's, and ties of the second go away from zero. Zero points and halves are
 * in the constants. The output may be either input. */
#include "dsp.h"

#ifdef HB_WITH_DSP

/* As run_elements() loads it. */
struct elements {
    const int8_t *other, *halved;
    int8_t *output;
    int32_t other_zero; /* zero point * 2^21 */
    int32_t other_multiplier, other_half, other_shift;
    int32_t halved_zero; /* -2 * zero point * 2^19 */
    int32_t multiplier, addend, shift;
    uint32_t count;
};

#ifdef HB_DSP_ASM

/* clang-format off */

/* r0, r1: inputs; r2: output; r3-r10: constants; r12, lr: temporary. */
#define ELEMENT                                                                                    \
    "ldrsb r12, [r0], #1\n"                                                                        \
    "rsb r12, r3, r12, lsl #21\n"                                                                  \
    "smmlar lr, r12, r4, r5\n"                                                                     \
    "add r12, lr, r12, asr #31\n"                                                                  \
    "ldrsb lr, [r1], #1\n"                                                                         \
    "asr r12, r12, r6\n"                                                                           \
    "add r12, r12, lr, lsl #19\n"                                                                  \
    "add r12, r7, r12, lsl #1\n"                                                                   \
    "smmlar lr, r12, r8, r9\n"                                                                     \
    "add r12, lr, r12, asr #31\n"                                                                  \
    "asr r12, r12, r10\n"                                                                          \
    "ssat r12, #8, r12\n"                                                                          \
    "strb r12, [r2], #1\n"

__attribute__((naked)) static void run_elements(const struct elements *e) {
    (void)e;
    __asm volatile(
        "push {r4-r11, lr}\n"
        "ldr r11, [r0, #44]\n"
        "ldm r0, {r0-r10}\n"
        "lsrs r12, r11, #2\n"
        "beq 2f\n"
        "push {r11}\n"
        "add r11, r2, r12, lsl #2\n"
        "1:\n"
        ELEMENT ELEMENT ELEMENT ELEMENT
        "cmp r2, r11\n"
        "bne 1b\n"
        "pop {r11}\n"
        "2:\n"
        "ands r11, r11, #3\n"
        "beq 4f\n"
        "3:\n"
        ELEMENT
        "subs r11, r11, #1\n"
        "bne 3b\n"
        "4:\n"
        "pop {r4-r11, pc}\n");
}

/* clang-format on */

#else

/* x is twice what is scaled. */
static int32_t scale(int32_t x, int32_t multiplier, int32_t half, int32_t shift) {
    const int32_t high = (int32_t)(((int64_t)x * multiplier + ((int64_t)1 << 31)) >> 32);
    return hb_dsp_add(hb_dsp_add(high, half), x >> 31) >> shift;
}

static int32_t shifted(int32_t x, uint32_t bits) {
    return (int32_t)((uint32_t)x << bits);
}

static void run_elements(const struct elements *e) {
    for (uint32_t i = 0; i < e->count; i++) {
        const int32_t other = hb_dsp_add(shifted(e->other[i], 21u), -e->other_zero);
        int32_t sum = scale(other, e->other_multiplier, e->other_half, e->other_shift);
        sum = hb_dsp_add(sum, shifted(e->halved[i], 19u));
        sum = hb_dsp_add(shifted(sum, 1u), e->halved_zero);
        e->output[i] = (int8_t)hb_dsp_saturate(scale(sum, e->multiplier, e->addend, e->shift));
    }
}

#endif

HB_COLD static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                        const struct hb_kernel_memory *memory) {
    struct hb_plan_add_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    if (!hb_quantised_ok(&op.quantised) || !hb_in_s8(op.input_2_zero_point) || op.halved > 2u ||
        op.halved < 1u || op.other_multiplier < 0 || op.other_shift < 1 || op.other_shift > 23 ||
        op.multiplier < 0 || op.shift < 1 || op.shift > 23) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, op.count, 1u, op.count, 1u) ||
        !hb_tensor_ok(memory, op.input_2, op.count, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return HB_PLAN_FAULT_NONE;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_add_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *const inputs[2] = {(const int8_t *)(memory->arena + op.head.input),
                                     (const int8_t *)(memory->arena + op.input_2)};
    const int32_t zeros[2] = {op.quantised.input_zero_point, op.input_2_zero_point};
    const uint32_t halved = op.halved - 1u;
    const struct elements e = {
        .other = inputs[1u - halved],
        .halved = inputs[halved],
        .output = (int8_t *)(memory->arena + op.head.output),
        .other_zero = zeros[1u - halved] * (1 << 21),
        .other_multiplier = op.other_multiplier,
        .other_half = (int32_t)((uint32_t)1 << (op.other_shift - 1)),
        .other_shift = op.other_shift,
        .halved_zero = zeros[halved] * -(1 << 20),
        .multiplier = op.multiplier,
        .addend = (1 << (op.shift - 1)) + op.quantised.output_zero_point * (1 << op.shift),
        .shift = op.shift,
        .count = op.count,
    };
    run_elements(&e);
    hb_dsp_clamp(e.output, op.count, &op.quantised);
}

const struct hb_kernel hb_dsp_add_s8 = {HB_PLAN_ADD_S8_DSP, sizeof(struct hb_plan_add_s8_dsp),
                                        check, run};

#endif
