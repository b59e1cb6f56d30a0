/* Inner products of int8. Sums are unsigned because int32 accumulators wrap in the reference, and
 * signed overflow is undefined in C. */
#ifndef HB_PORTABLE_DOT_S8_H
#define HB_PORTABLE_DOT_S8_H

#include <stdint.h>

static inline uint32_t hb_mac(uint32_t sum, int32_t a, int32_t b) {
    return sum + (uint32_t)(a * b);
}

static inline uint32_t hb_dot_s8(uint32_t sum, const int8_t *a, const int8_t *b, int32_t count) {
    const int8_t *const end = a + count;
    for (const int8_t *const blocks = a + (count & ~3); a != blocks; a += 4, b += 4) {
        sum = hb_mac(sum, a[0], b[0]);
        sum = hb_mac(sum, a[1], b[1]);
        sum = hb_mac(sum, a[2], b[2]);
        sum = hb_mac(sum, a[3], b[3]);
    }
    for (; a != end; a++, b++) {
        sum = hb_mac(sum, *a, *b);
    }
    return sum;
}

static inline int32_t hb_sum_s8(const int8_t *a, int32_t count) {
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) {
        sum += a[i];
    }
    return sum;
}

#endif
