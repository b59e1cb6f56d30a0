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

/* No libm is needed on the device: exp(x) for x <= 0, relative error below 3e-7; 0 below -87 and
 * for NaN. x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) by its Taylor polynomial of order 7. */
static inline float hb_exp_of_negative(float x) {
    if (!(x > -87.0f)) {
        return 0.0f;
    }
    const int32_t n = (int32_t)(x * 1.44269504f - 0.5f);
    /* ln 2 in two parts: n * 0.693359375 is exact */
    const float r = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float sum = 1.0f + r / 7.0f;
    for (int32_t k = 6; k > 0; k--) {
        sum = 1.0f + r * sum / (float)k;
    }
    const uint32_t bits = (uint32_t)(n + 127) << 23; /* 2^n; n >= -126 */
    float power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

#endif
