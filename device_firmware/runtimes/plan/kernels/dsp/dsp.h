/* What the kernels of the set "dsp" share: Cortex-M4, M7, M33. Every instruction used from C has
 * its meaning in C beside it, so that a host can prove the kernels.
 *
 * Requantisation. An accumulator is kept times 2^8, which the inner loops give away or nearly so.
 * With m the multiplier, s the right shift (1..15) and z the zero point, the result of
 * requantise.h's double rounding is
 *
 *     (sum * 2^8 * m / 2^32 + addend - (sum < 0 ? 2^7 : 0)) >> (s + 7),  saturated,
 *     addend = ((2^(s - 1) + z * 2^s) << 7) + 2^6:
 *
 * nested floors; the first division keeps 7 bits more than the reference's, so its rounding can be
 * added afterwards. The term of negative sums turns the second rounding's ties away from zero;
 * where the range begins at the zero point (RELU), negative sums are clamped anyway and it is left
 * out. The planner proves per channel that nothing overflows. */
#ifndef HB_DSP_H
#define HB_DSP_H

#include "../hb_kernel.h"
#include "../portable/requantise.h"
#include "../portable/window.h"

#ifdef __ARM_FEATURE_DSP
#define HB_DSP_ASM 1
#endif

/* Run once: small, not fast. */
#ifdef __GNUC__
#define HB_COLD __attribute__((cold))
#else
#define HB_COLD
#endif

struct hb_dsp_scale {
    int32_t multiplier;
    int32_t addend;
    int32_t shift; /* s + 7 */
};

/* Accumulators wrap: no signed overflow in C. */
HB_INLINE int32_t hb_dsp_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

HB_INLINE uint32_t hb_dsp_load(const int8_t *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

#ifdef HB_DSP_ASM

/* Bytes 0 and 2 as halves. */
HB_INLINE uint32_t hb_dsp_even(uint32_t bytes) {
    uint32_t halves;
    __asm("sxtb16 %0, %1" : "=r"(halves) : "r"(bytes));
    return halves;
}

HB_INLINE uint32_t hb_dsp_odd(uint32_t bytes) {
    uint32_t halves;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(halves) : "r"(bytes));
    return halves;
}

HB_INLINE uint32_t hb_dsp_even_plus(uint32_t halves, uint32_t bytes) {
    uint32_t sums;
    __asm("sxtab16 %0, %1, %2" : "=r"(sums) : "r"(halves), "r"(bytes));
    return sums;
}

HB_INLINE uint32_t hb_dsp_odd_plus(uint32_t halves, uint32_t bytes) {
    uint32_t sums;
    __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(sums) : "r"(halves), "r"(bytes));
    return sums;
}

/* The low halves of both, or the high ones. */
HB_INLINE uint32_t hb_dsp_low_halves(uint32_t low, uint32_t high) {
    uint32_t halves;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(halves) : "r"(low), "r"(high));
    return halves;
}

HB_INLINE uint32_t hb_dsp_high_halves(uint32_t low, uint32_t high) {
    uint32_t halves;
    __asm("pkhtb %0, %1, %2, asr #16" : "=r"(halves) : "r"(high), "r"(low));
    return halves;
}

/* acc + low half * low half */
HB_INLINE int32_t hb_dsp_mac_low(uint32_t a, uint32_t b, int32_t acc) {
    __asm("smlabb %0, %1, %2, %0" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
}

HB_INLINE int32_t hb_dsp_mac_high(uint32_t a, uint32_t b, int32_t acc) {
    __asm("smlatt %0, %1, %2, %0" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
}

/* high + (a * b >> 32) */
HB_INLINE int32_t hb_dsp_high_mac(int32_t a, int32_t b, int32_t high) {
    int32_t result;
    __asm("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(high));
    return result;
}

HB_INLINE int32_t hb_dsp_saturate(int32_t x) {
    __asm("ssat %0, #8, %0" : "+r"(x));
    return x;
}

#else

HB_INLINE int32_t hb_dsp_half(uint32_t halves, int position) {
    return (int16_t)(uint16_t)(halves >> (16 * position));
}

HB_INLINE uint32_t hb_dsp_halves(int32_t low, int32_t high) {
    return (uint16_t)low | (uint32_t)(uint16_t)high << 16;
}

HB_INLINE uint32_t hb_dsp_even(uint32_t bytes) {
    return hb_dsp_halves((int8_t)(uint8_t)bytes, (int8_t)(uint8_t)(bytes >> 16));
}

HB_INLINE uint32_t hb_dsp_odd(uint32_t bytes) {
    return hb_dsp_even(bytes >> 8);
}

HB_INLINE uint32_t hb_dsp_plus(uint32_t a, uint32_t b) {
    return hb_dsp_halves(hb_dsp_half(a, 0) + hb_dsp_half(b, 0),
                         hb_dsp_half(a, 1) + hb_dsp_half(b, 1));
}

HB_INLINE uint32_t hb_dsp_even_plus(uint32_t halves, uint32_t bytes) {
    return hb_dsp_plus(halves, hb_dsp_even(bytes));
}

HB_INLINE uint32_t hb_dsp_odd_plus(uint32_t halves, uint32_t bytes) {
    return hb_dsp_plus(halves, hb_dsp_odd(bytes));
}

HB_INLINE uint32_t hb_dsp_low_halves(uint32_t low, uint32_t high) {
    return (low & 0xffffu) | high << 16;
}

HB_INLINE uint32_t hb_dsp_high_halves(uint32_t low, uint32_t high) {
    return low >> 16 | (high & 0xffff0000u);
}

HB_INLINE int32_t hb_dsp_mac_low(uint32_t a, uint32_t b, int32_t acc) {
    return hb_dsp_add(acc, hb_dsp_half(a, 0) * hb_dsp_half(b, 0));
}

HB_INLINE int32_t hb_dsp_mac_high(uint32_t a, uint32_t b, int32_t acc) {
    return hb_dsp_add(acc, hb_dsp_half(a, 1) * hb_dsp_half(b, 1));
}

/* smlad: both halves */
HB_INLINE int32_t hb_dsp_mac(uint32_t a, uint32_t b, int32_t acc) {
    return hb_dsp_mac_high(a, b, hb_dsp_mac_low(a, b, acc));
}

HB_INLINE int32_t hb_dsp_high_mac(int32_t a, int32_t b, int32_t high) {
    return hb_dsp_add(high, (int32_t)((int64_t)a * b >> 32));
}

HB_INLINE int32_t hb_dsp_saturate(int32_t x) {
    return hb_clamp(x, INT8_MIN, INT8_MAX);
}

#endif

/* sum is the accumulator times 2^8. */
HB_INLINE int8_t hb_dsp_requantise(int32_t sum, const struct hb_dsp_scale *scale, bool linear) {
    int32_t x = hb_dsp_high_mac(sum, scale->multiplier, scale->addend);
    if (linear) {
        x = hb_dsp_add(x, (sum >> 31) * 128);
    }
    return (int8_t)hb_dsp_saturate(x >> scale->shift);
}

HB_INLINE int32_t hb_dsp_times_256(int32_t x) {
    return (int32_t)((uint32_t)x << 8);
}

/* Kernels saturate to int8; the rare narrower range is applied to the finished tensor. */
void hb_dsp_clamp(int8_t *x, uint64_t count, const struct hb_plan_quantised *q);

/* hb_window_ok() and hb_quantised_ok(), once for all kernels. */
enum hb_plan_fault hb_dsp_check(const struct hb_plan_window *w, const struct hb_plan_quantised *q);

/* Are `count` scales in their range, the first at `at`, each `step` bytes behind the one before? */
bool hb_dsp_scales_ok(const void *at, uint64_t count, uint64_t step);

#endif
