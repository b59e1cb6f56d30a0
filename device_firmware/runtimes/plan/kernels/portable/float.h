/* What float32 kernels share. */
#ifndef HB_PORTABLE_FLOAT_H
#define HB_PORTABLE_FLOAT_H

#include "../hb_kernel.h"

static inline float hb_clamp_f32(float x, const struct hb_plan_range *range) {
    return x < range->minimum ? range->minimum : x > range->maximum ? range->maximum : x;
}

static inline float hb_dot_f32(float sum, const HB_CONST float *a, const float *b, uint32_t count) {
    for (; count > 0u; count--) {
        sum += *a++ * *b++;
    }
    return sum;
}

static inline const HB_CONST float *hb_constant_f32(const struct hb_kernel_memory *memory,
                                                    uint32_t offset) {
    return (const HB_CONST float *)(const HB_CONST void *)(memory->constants + offset);
}

static inline float *hb_tensor_f32(const struct hb_kernel_memory *memory, uint32_t offset) {
    return (float *)(void *)(memory->arena + offset);
}

#endif
