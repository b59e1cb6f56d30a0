/* What the kernels of the set "fpu" share: float32 where the processor has single precision.
 *
 * Inner loops are assembly, in the registers of the FPU or of Helium: gcc loads values one by one.
 * A host has the same in C. Sums are fused (one rounding), as those of most optimised libraries. */
#ifndef HB_FPU_H
#define HB_FPU_H

#include "../portable/float.h"
#include "../portable/window.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 2)
#define HB_FPU_HELIUM 1
#elif defined(__ARM_FP) && (__ARM_FP & 4) && defined(__ARM_FEATURE_FMA)
#define HB_FPU_SCALAR 1
#endif

/* What is done to results: RELU alone is cheaper than other ranges. */
enum hb_fpu_clamp { HB_FPU_FREE, HB_FPU_RELU, HB_FPU_RANGE };

static inline enum hb_fpu_clamp hb_fpu_clamp_of(const struct hb_plan_range *range) {
    const float largest = 3.40282347e38f; /* beyond is infinity */
    if (!(range->maximum > largest)) {
        return HB_FPU_RANGE;
    }
    return range->minimum == 0.0f      ? HB_FPU_RELU
           : range->minimum < -largest ? HB_FPU_FREE
                                       : HB_FPU_RANGE;
}

static inline void hb_fpu_clamped(float *output, const float *sums, uint32_t count,
                                  const struct hb_plan_range *range) {
    for (; count > 0u; count--) {
        *output++ = hb_clamp_f32(*sums++, range);
    }
}

/* Four results to the output; NaN stays. */
HB_INLINE void hb_fpu_store_4(float *output, const float *sums, const struct hb_plan_range *range,
                              enum hb_fpu_clamp clamp) {
#if defined(HB_FPU_HELIUM)
    (void)clamp;
    __asm volatile("vldrw.32 q0, [%[sums]]\n\t"
                   "vpt.f32 lt, q0, %[min]\n\t"
                   "vdupt.32 q0, %[min]\n\t"
                   "vpt.f32 gt, q0, %[max]\n\t"
                   "vdupt.32 q0, %[max]\n\t"
                   "vstrw.32 q0, [%[output]]"
                   :
                   : [output] "r"(output), [sums] "r"(sums), [min] "r"(range->minimum),
                     [max] "r"(range->maximum)
                   : "q0", "cc", "memory");
#elif defined(HB_FPU_SCALAR)
    if (clamp == HB_FPU_RANGE) {
        hb_fpu_clamped(output, sums, 4u, range);
    } else if (clamp == HB_FPU_FREE) {
        __asm volatile("ldm %[sums], {r0-r3}\n\t"
                       "stm %[output], {r0-r3}"
                       :
                       : [output] "r"(output), [sums] "r"(sums)
                       : "r0", "r1", "r2", "r3", "memory");
    } else { /* as integers, negative numbers are at or below minus infinity, negative NaN above */
        __asm volatile("ldm %[sums], {r0-r3}\n\t"
                       "cmn r0, #0x800000\n\t"
                       "it le\n\t"
                       "movle r0, #0\n\t"
                       "cmn r1, #0x800000\n\t"
                       "it le\n\t"
                       "movle r1, #0\n\t"
                       "cmn r2, #0x800000\n\t"
                       "it le\n\t"
                       "movle r2, #0\n\t"
                       "cmn r3, #0x800000\n\t"
                       "it le\n\t"
                       "movle r3, #0\n\t"
                       "stm %[output], {r0-r3}"
                       :
                       : [output] "r"(output), [sums] "r"(sums)
                       : "r0", "r1", "r2", "r3", "cc", "memory");
    }
#else
    (void)clamp;
    hb_fpu_clamped(output, sums, 4u, range);
#endif
}

#endif
