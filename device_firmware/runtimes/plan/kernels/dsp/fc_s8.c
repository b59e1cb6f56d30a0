/* FULLY_CONNECTED, int8: four units at a time.
 *
 * The input is widened again for every four units, which costs an eighth more instructions than to
 * keep it as int16, and no memory. Weights of two units share a word, as in conv_s8.c; four taps
 * are {units 0 1, units 2 3} of taps 0 and 2, then of taps 1 and 3. `filters` has, for every four
 * units, the starting sums {both 0 1, both 2 3, 0, 2}, the weights, and four hb_dsp_scale. The last
 * four units overlap those before them. */
#include "dsp.h"

#ifdef HB_WITH_DSP

#define UNITS                4u
#define FILTER_BYTES(groups) (16u + 16u * (groups) + UNITS * 12u)

#ifdef HB_DSP_ASM

/* clang-format off */

#define RESULT(sum)                                                                                \
    "ldm r10!, {r0-r2}\n"                                                                          \
    "asrs r3, " #sum ", #31\n"                                                                     \
    "smmla " #sum ", " #sum ", r0, r1\n"                                                           \
    "add " #sum ", " #sum ", r3, lsl #7\n"                                                         \
    "asrs " #sum ", " #sum ", r2\n"                                                                \
    "ssat " #sum ", #8, " #sum "\n"                                                                \
    "strb " #sum ", [r12], #1\n"

/* On the stack: filters_end 0, input 4, rounds 8, entry 12.
 * r4, r5: sums of both units; r6, r7: of the even one; r10: filters; r11: input; r12: output. */
__attribute__((naked)) static void run_units(int8_t *output, const uint8_t *filters,
                                             const uint8_t *filters_end, const int8_t *input,
                                             uint32_t groups) {
    (void)output, (void)filters, (void)filters_end, (void)input, (void)groups;
    __asm volatile(
        "push {r4-r11, lr}\n"
        "ldr r4, [sp, #36]\n"
        "mov r12, r0\n"
        "mov r10, r1\n"
        "rsbs r5, r4, #0\n" /* the first round may be a partial one */
        "and r5, r5, #3\n"
        "movs r0, #64\n"
        "muls r5, r0, r5\n"
        "adr r0, 2f\n"
        "adds r5, r5, r0\n"
        "orr r5, r5, #1\n"
        "adds r4, r4, #3\n"
        "lsrs r4, r4, #2\n"
        "push {r2-r5}\n"
        "1:\n"
        "ldm r10!, {r4-r7}\n"
        "ldr r11, [sp, #4]\n"
        "ldr lr, [sp, #8]\n"
        "ldr pc, [sp, #12]\n"
        ".p2align 2\n"
        "2:\n"
        ".rept 4\n" /* 16 instructions of 4 bytes */
        "ldm r10!, {r0-r3}\n"
        "ldr r8, [r11], #4\n"
        "sxtb16 r9, r8, ror #8\n sxtb16 r8, r8\n"
        "smlad r4, r0, r8, r4\n smlad r5, r1, r8, r5\n"
        "smlad r4, r2, r9, r4\n smlad r5, r3, r9, r5\n"
        "sxtb16 r0, r0\n sxtb16 r1, r1\n sxtb16 r2, r2\n sxtb16 r3, r3\n"
        "smlad r6, r0, r8, r6\n smlad r7, r1, r8, r7\n"
        "smlad r6, r2, r9, r6\n smlad r7, r3, r9, r7\n"
        ".endr\n"
        "subs lr, lr, #1\n"
        "bne 2b\n"
        "subs r4, r4, r6\n subs r5, r5, r7\n"
        "lsls r6, r6, #8\n lsls r7, r7, #8\n"
        RESULT(r6) RESULT(r4) RESULT(r7) RESULT(r5)
        "ldr r0, [sp]\n"
        "cmp r10, r0\n"
        "bne 1b\n"
        "add sp, sp, #16\n"
        "pop {r4-r11, pc}\n");
}

/* clang-format on */

#else

static void run_units(int8_t *output, const uint8_t *filters, const uint8_t *filters_end,
                      const int8_t *input, uint32_t groups) {
    for (; filters != filters_end; filters += FILTER_BYTES(groups)) {
        const int32_t *start = (const int32_t *)(const void *)filters;
        const uint32_t *weights = (const uint32_t *)(const void *)(filters + 16);
        const struct hb_dsp_scale *scale =
            (const struct hb_dsp_scale *)(const void *)(weights + 4u * groups);
        for (uint32_t pair = 0; pair < 2u; pair++, scale += 2) {
            int32_t both = start[pair], sum = start[2u + pair];
            for (uint32_t i = 0; i < 2u * groups; i++) {
                const uint32_t bytes = hb_dsp_load(input + i / 2u * 4u);
                const uint32_t values = i % 2u == 0u ? hb_dsp_even(bytes) : hb_dsp_odd(bytes);
                const uint32_t word = weights[2u * i + pair];
                both = hb_dsp_mac(values, word, both);
                sum = hb_dsp_mac(values, hb_dsp_even(word), sum);
            }
            both = (int32_t)((uint32_t)both - (uint32_t)sum);
            *output++ = hb_dsp_requantise(hb_dsp_times_256(sum), &scale[0], true);
            *output++ = hb_dsp_requantise(both, &scale[1], true);
        }
    }
}

#endif

HB_COLD static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                        const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u || op.units < UNITS || op.depth > INT32_MAX) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    const uint64_t groups = ((uint64_t)op.depth + 3u) / 4u;
    const uint64_t filters = ((uint64_t)op.units + UNITS - 1u) / UNITS;
    /* The last taps of a row may be read beyond it, and multiplied by 0. */
    const uint64_t in_bytes = (uint64_t)(op.rows - 1u) * op.depth + 4u * groups;
    if (!hb_tensors_ok(memory, &op.head, in_bytes, 1u, (uint64_t)op.rows * op.units, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    /* Few units are no bound for this product: each factor is checked. */
    if (groups > memory->constants_bytes ||
        !hb_constant_ok(memory, op.filters, filters, FILTER_BYTES((uint32_t)groups))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const uint8_t *scales = memory->constants + op.filters + 16u + 16u * groups;
    for (uint32_t i = 0; i < UNITS; i++) {
        if (!hb_dsp_scales_ok(scales + i * sizeof(struct hb_dsp_scale), filters,
                              FILTER_BYTES(groups))) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *const first = (int8_t *)(memory->arena + op.head.output);
    int8_t *output = first;
    const uint32_t groups = (op.depth + 3u) / 4u;
    const uint8_t *filters = memory->constants + op.filters;
    const uint8_t *end = filters + (size_t)(op.units / UNITS) * FILTER_BYTES(groups);
    for (uint32_t row = 0; row < op.rows; row++) {
        run_units(output, filters, end, input, groups);
        output += op.units;
        if (op.units % UNITS != 0u) {
            run_units(output - UNITS, end, end + FILTER_BYTES(groups), input, groups);
        }
        input += op.depth;
    }
    hb_dsp_clamp(first, (uint64_t)op.rows * op.units, &op.quantised);
}

const struct hb_kernel hb_dsp_fc_s8 = {HB_PLAN_FC_S8_DSP, sizeof(struct hb_plan_fc_s8_dsp), check,
                                       run};

#endif
