/* ADD, int8, same shapes. Of both inputs, the one with the larger scale is multiplied by 1/2
 * exactly, so only the other needs a multiplication. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "mve.h"

#define EXTRA_BITS 20

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_add_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    if (!hb_quantised_ok(&op.quantised) || !hb_in_s8(op.input_2_zero_point) || op.second > 1u ||
        op.away > 1u || op.count > (uint32_t)INT32_MAX ||
        !hb_scale_ok(op.scaled_multiplier, op.scaled_shift) || op.scaled_shift > 0 ||
        !hb_scale_ok(op.multiplier, op.shift) || op.shift > 0) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, op.count, 1u, op.count, 1u) ||
        !hb_tensor_ok(memory, op.input_2, op.count, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return HB_PLAN_FAULT_NONE;
}

/* The assembly knows the order. */
struct sum {
    int32_t scaled_offset, scaled_multiplier, scaled_away, scaled_shift;
    int32_t halved_offset;
    int32_t multiplier, away, shift;
    int32_t zero_point, minimum, maximum;
};

#ifdef __ARM_FEATURE_MVE

__attribute__((noinline)) static void add(const struct sum *s, const int8_t *scaled,
                                          const int8_t *halved, int8_t *output, int32_t count) {
    register const struct sum *r0 __asm("r0") = s;
    register const int8_t *r1 __asm("r1") = scaled;
    register const int8_t *r2 __asm("r2") = halved;
    register int8_t *r3 __asm("r3") = output;
    register int32_t lr __asm("lr") = count;
    __asm volatile("ldm r0, {r4, r5, r6, r7, r8, r9, r10, r11, r12}\n\t"
                   "vdup.32 q4, r12\n\t"
                   "ldrd r0, r12, [r0, #36]\n\t"
                   "vdup.32 q5, r0\n\t"
                   "vdup.32 q6, r12\n\t"
                   "mov r0, #0x100000\n\t" /* 1 << EXTRA_BITS */
                   "vdup.32 q2, r0\n\t"
                   "mov r0, #0x80000\n\t"
                   "vdup.32 q3, r0\n\t"
                   "wlstp.32 lr, lr, 2f\n"
                   "1:\n\t"
                   "vldrb.s32 q0, [r1], #4\n\t"
                   "vldrb.s32 q1, [r2], #4\n\t"
                   "vmlas.s32 q0, q2, r4\n\t"
                   "vqrdmulh.s32 q0, q0, r5\n\t"
                   "vqdmlah.s32 q0, q0, r6\n\t"
                   "vmlas.s32 q1, q3, r8\n\t"
                   "vrshl.s32 q0, r7\n\t"
                   "vadd.i32 q0, q0, q1\n\t"
                   "vqrdmulh.s32 q0, q0, r9\n\t"
                   "vqdmlah.s32 q0, q0, r10\n\t"
                   "vrshl.s32 q0, r11\n\t"
                   "vadd.i32 q0, q0, q4\n\t"
                   "vmax.s32 q0, q0, q5\n\t"
                   "vmin.s32 q0, q0, q6\n\t"
                   "vstrb.32 q0, [r3], #4\n\t"
                   "letp lr, 1b\n"
                   "2:"
                   : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(lr)
                   :
                   : "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "q0", "q1", "q2",
                     "q3", "q4", "q5", "q6", "memory");
}

#else

static void add(const struct sum *s, const int8_t *scaled, const int8_t *halved, int8_t *output,
                int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        const int32_t a = scaled[i] * ((int32_t)1 << EXTRA_BITS) + s->scaled_offset;
        const int32_t b = halved[i] * ((int32_t)1 << (EXTRA_BITS - 1)) + s->halved_offset;
        int32x4_t x = hb_mve_scale(vdupq_n_s32(a), vdupq_n_s32(s->scaled_multiplier),
                                   vdupq_n_s32(s->scaled_shift), s->scaled_away);
        x = hb_mve_scale(vaddq_s32(x, vdupq_n_s32(b)), vdupq_n_s32(s->multiplier),
                         vdupq_n_s32(s->shift), s->away);
        int32_t results[4];
        vstrwq_s32(results, x);
        output[i] = (int8_t)hb_clamp(results[0] + s->zero_point, s->minimum, s->maximum);
    }
}

#endif

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_add_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *first = (const int8_t *)(memory->arena + op.head.input);
    const int8_t *second = (const int8_t *)(memory->arena + op.input_2);
    const int32_t first_zero = op.quantised.input_zero_point;
    const int32_t second_zero = op.input_2_zero_point;
    const bool swap = op.second != 0u;
    struct sum s;
    s.scaled_offset = -(swap ? second_zero : first_zero) * ((int32_t)1 << EXTRA_BITS);
    s.scaled_multiplier = op.scaled_multiplier;
    s.scaled_away = op.scaled_shift < 0 ? 1 : 0;
    s.scaled_shift = op.scaled_shift;
    s.halved_offset = -(swap ? first_zero : second_zero) * ((int32_t)1 << (EXTRA_BITS - 1));
    s.multiplier = op.multiplier;
    s.away = (int32_t)op.away;
    s.shift = op.shift;
    s.zero_point = op.quantised.output_zero_point;
    s.minimum = op.quantised.minimum;
    s.maximum = op.quantised.maximum;
    add(&s, swap ? second : first, swap ? first : second,
        (int8_t *)(memory->arena + op.head.output), (int32_t)op.count);
}

const struct hb_kernel hb_mve_add_s8 = {HB_PLAN_ADD_S8_MVE, sizeof(struct hb_plan_add_s8_mve),
                                        check, run};

#endif
