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

static inline bool hb_fpu_is_relu(const struct hb_plan_range *range) {
    /* above the largest number: infinity */
    return range->minimum == 0.0f && range->maximum > 3.40282347e38f;
}

/* One result to the output. RELU alone compares bits, cheaper than floats: negative numbers, but
 * not NaN, are at or below minus infinity as integers. */
HB_INLINE void hb_fpu_store_1(float *output, const float *sum, const struct hb_plan_range *range,
                              bool relu) {
    if (relu) {
        int32_t bits;
        memcpy(&bits, sum, sizeof bits);
        bits = bits <= -0x7fffff - 1 ? 0 : bits;
        memcpy(output, &bits, sizeof bits);
    } else {
        *output = hb_clamp_f32(*sum, range);
    }
}

/* The results of some pixels: four of each of `count`, `step` apart. */
HB_INLINE void hb_fpu_store_4(float *output, const float *sums, uint32_t count, uint32_t step,
                              const struct hb_plan_range *range, bool relu) {
    for (; count > 0u; count--, output += step, sums += 4) {
        for (uint32_t i = 0; i < 4u; i++) {
            hb_fpu_store_1(output + i, sums + i, range, relu);
        }
    }
}

HB_INLINE void hb_fpu_store(float *output, const float *sums, uint32_t count, uint32_t step,
                            uint32_t channels, const struct hb_plan_range *range) {
    if (channels != 4u) {
        for (; count > 0u; count--, output += step, sums += 4) {
            for (uint32_t i = 0; i < channels; i++) {
                hb_fpu_store_1(output + i, sums + i, range, false);
            }
        }
    } else if (hb_fpu_is_relu(range)) {
        hb_fpu_store_4(output, sums, count, step, range, true);
    } else {
        hb_fpu_store_4(output, sums, count, step, range, false);
    }
}

#endif
