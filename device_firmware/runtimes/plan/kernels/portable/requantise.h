/* Fixed-point scaling as TensorFlow Lite defines it for int8 ("double rounding").
 *
 * A real factor is multiplier * 2^(shift - 31), multiplier in [2^30, 2^31) or 0. Scaling x rounds
 * twice: x * multiplier / 2^31 to nearest, ties upwards; then / 2^-shift to nearest, ties away from
 * zero. Jacob et al., "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference", 2018, section 2.2. */
#ifndef HB_PORTABLE_REQUANTISE_H
#define HB_PORTABLE_REQUANTISE_H

#include "../hb_kernel.h"

/* x * y / 2^31, ties upwards. y is never negative, so nothing saturates. */
static inline int32_t hb_high_mul(int32_t x, int32_t y) {
    return (int32_t)(((int64_t)x * y + ((int32_t)1 << 30)) >> 31);
}

/* x / 2^exponent, ties away from zero; exponent 0..31. */
static inline int32_t hb_divide_pow2(int32_t x, uint32_t exponent) {
    const uint32_t mask = ((uint32_t)1 << exponent) - 1u;
    const uint32_t half = (mask >> 1) + (x < 0 ? 1u : 0u);
    return (x >> exponent) + (((uint32_t)x & mask) > half ? 1 : 0);
}

/* Left shift that wraps, as the reference does on every machine. */
static inline int32_t hb_shift_left(int32_t x, uint32_t bits) {
    return (int32_t)((uint32_t)x << bits);
}

/* For shifts of 0 and below. */
static inline int32_t hb_scale_down(int32_t x, int32_t multiplier, int32_t shift) {
    return hb_divide_pow2(hb_high_mul(x, multiplier), (uint32_t)-shift);
}

static inline int32_t hb_scale(int32_t x, int32_t multiplier, int32_t shift) {
    if (shift > 0) {
        return hb_high_mul(hb_shift_left(x, (uint32_t)shift), multiplier);
    }
    return hb_scale_down(x, multiplier, shift);
}

static inline int32_t hb_clamp(int32_t x, int32_t minimum, int32_t maximum) {
    return x < minimum ? minimum : x > maximum ? maximum : x;
}

/* Clamps before the zero point is added: x may be anywhere in int32. */
static inline int8_t hb_to_s8(int32_t x, const struct hb_plan_quantised *q) {
    const int32_t zero_point = q->output_zero_point;
    return (int8_t)(hb_clamp(x, q->minimum - zero_point, q->maximum - zero_point) + zero_point);
}

static inline bool hb_in_s8(int32_t x) {
    return x >= INT8_MIN && x <= INT8_MAX;
}

static inline bool hb_quantised_ok(const struct hb_plan_quantised *q) {
    return hb_in_s8(q->input_zero_point) && hb_in_s8(q->output_zero_point) &&
           hb_in_s8(q->minimum) && hb_in_s8(q->maximum) && q->minimum <= q->maximum;
}

static inline bool hb_scale_ok(int32_t multiplier, int32_t shift) {
    return multiplier >= 0 && shift >= -31 && shift <= 30;
}

/* The constants of an operator with weights: `channels` biases, `scales` multipliers and shifts. */
static inline enum hb_plan_fault hb_per_channel_check(const struct hb_kernel_memory *memory,
                                                      uint64_t weights_elements, uint32_t weights,
                                                      uint32_t channels, uint32_t bias,
                                                      uint32_t scales, uint32_t multipliers,
                                                      uint32_t shifts) {
    if (!hb_constant_ok(memory, weights, weights_elements, 1u) ||
        !hb_constant_ok(memory, bias, channels, 4u) ||
        !hb_constant_ok(memory, multipliers, scales, 4u) ||
        !hb_constant_ok(memory, shifts, scales, 1u)) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const HB_CONST int32_t *multiplier =
        (const HB_CONST int32_t *)(const HB_CONST void *)(memory->constants + multipliers);
    const HB_CONST int8_t *shift = (const HB_CONST int8_t *)(memory->constants + shifts);
    for (uint32_t i = 0; i < scales; i++) {
        if (!hb_scale_ok(multiplier[i], shift[i])) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

#endif
