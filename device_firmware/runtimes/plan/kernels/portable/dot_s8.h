/* Inner products of int8. Sums are unsigned because int32 accumulators wrap in the reference, and
 * signed overflow is undefined in C. */
#ifndef HB_PORTABLE_DOT_S8_H
#define HB_PORTABLE_DOT_S8_H

#include "../hb_kernel.h"

/* Output channels at a time: as many sums as registers hold. */
#ifdef __AVR__
#define HB_BLOCK 1
#else
#define HB_BLOCK 4
#endif

/* a is the difference of two int8, b an int8. */
HB_INLINE uint32_t hb_mac(uint32_t sum, int32_t a, int32_t b) {
#ifdef __AVR__
    int16_t product = (int16_t)((int16_t)a * (int16_t)b); /* at most 255 * 128 */
    __asm("" : "+r"(product)); /* else gcc 5.4 multiplies 32 bits by a library call, not muls */
    return sum + (uint32_t)product;
#else
    return sum + (uint32_t)(a * b);
#endif
}

/* sums[k] += dot(x + offset, weights of channel k) for HB_BLOCK channels, whose weights are
 * `filter` apart. A function of its own: inlined, gcc spills two of the sums in the inner loop. */
HB_NO_INLINE void hb_dot_block_s8(uint32_t *sums, const int8_t *x, int32_t offset,
                                  const HB_CONST int8_t *weights, size_t filter, int32_t count) {
    const HB_CONST int8_t *w0 = weights;
    const HB_CONST int8_t *w1 = w0 + filter;
    const HB_CONST int8_t *w2 = w1 + filter;
    const HB_CONST int8_t *w3 = w2 + filter;
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (const int8_t *const end = x + count; x != end;) {
        const int32_t value = *x++ + offset;
        s0 = hb_mac(s0, value, *w0++);
        s1 = hb_mac(s1, value, *w1++);
        s2 = hb_mac(s2, value, *w2++);
        s3 = hb_mac(s3, value, *w3++);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* The same for HB_BLOCK channels or one; channels is a constant where this is inlined. */
HB_INLINE void hb_dot_s8(uint32_t *sums, int32_t channels, const int8_t *x, int32_t offset,
                         const HB_CONST int8_t *weights, size_t filter, int32_t count) {
    if (channels > 1) {
        hb_dot_block_s8(sums, x, offset, weights, filter, count);
        return;
    }
    uint32_t sum = sums[0];
    const int values = (int)count; /* int: an 8-bit machine's own width for counting */
    for (int i = 0; i < values; i++) {
        sum = hb_mac(sum, x[i] + offset, weights[i]);
    }
    sums[0] = sum;
}

#endif
