/* Dynamic range: float32 activations that are quantised as they come, int8 weights. The arithmetic
 * of TensorFlow Lite's hybrid kernels. */
#ifndef HB_PORTABLE_HYBRID_H
#define HB_PORTABLE_HYBRID_H

#include "float.h"

struct hb_dynamic {
    float scale;
    int32_t zero_point;
};

/* To nearest, ties away from zero, into minimum..127; not a number becomes minimum. */
static inline int8_t hb_round_to_s8(float x, float minimum) {
    if (!(x > minimum)) {
        return (int8_t)minimum;
    }
    if (x >= 127.0f) {
        return INT8_MAX;
    }
    const int32_t whole = (int32_t)x;
    const float rest = x - (float)whole; /* exact; x + 0.5f would not be */
    return (int8_t)(rest >= 0.5f ? whole + 1 : rest <= -0.5f ? whole - 1 : whole);
}

static inline int32_t hb_zero_point(double minimum, double maximum, double scale) {
    const double from_minimum = -128.0 - minimum / scale;
    const double from_maximum = 127.0 - maximum / scale;
    /* the one whose terms are smaller has the smaller error */
    const double zero_point =
        128.0 - minimum / scale < 127.0 + maximum / scale ? from_minimum : from_maximum;
    if (!(zero_point > -128.0)) { /* not a number, too */
        return -128;
    }
    if (zero_point >= 127.0) {
        return 127;
    }
    return (int32_t)(zero_point + (zero_point < 0.0 ? -0.5 : 0.5));
}

/* Quantises `count` values over their own range. Symmetric: zero point 0, values -127..127. A value
 * that is not a number makes the scale, and so every result, not a number. */
static inline struct hb_dynamic hb_quantise_dynamic(const float *values, uint32_t count,
                                                    bool asymmetric, int8_t *quantised) {
    struct hb_dynamic d = {1.0f, 0};
    float minimum = 0.0f, maximum = 0.0f, sum = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        minimum = values[i] < minimum ? values[i] : minimum;
        maximum = values[i] > maximum ? values[i] : maximum;
        sum += values[i] * 0.0f;
    }
    if (minimum == maximum && sum == 0.0f) {
        memset(quantised, 0, count);
        return d;
    }
    float inverse;
    if (asymmetric) {
        const double scale = ((double)maximum - (double)minimum) / 255.0;
        d.zero_point = hb_zero_point(minimum, maximum, scale);
        d.scale = (float)scale;
        inverse = 1.0f / d.scale;
    } else {
        const float range = maximum > -minimum ? maximum : -minimum;
        d.scale = range / 127.0f;
        inverse = 127.0f / range;
    }
    const float offset = (float)d.zero_point;
    for (uint32_t i = 0; i < count; i++) {
        quantised[i] = hb_round_to_s8(offset + values[i] * inverse, asymmetric ? -128.0f : -127.0f);
    }
    d.scale += sum; /* 0 or not a number */
    return d;
}

#endif
