/* Four output channels of four pixels, or of one.
 *
 * A filter is {4 biases, then for each of the depth 4 weights}, a value for each channel; the
 * window of a pixel is `rows` rows of `depth` values, `skip` values apart. Per two values of depth,
 * 32 multiplications take two loads of weights and of inputs: an instruction loads up to 16
 * registers. */
#ifndef HB_FPU_TILE_H
#define HB_FPU_TILE_H

#include "fpu.h"

#define HB_FPU_CHANNELS 4u
#define HB_FPU_PIXELS   4u

struct hb_fpu_span {
    uint32_t rows;
    uint32_t depth;
    uint32_t skip; /* bytes, from the end of a row to the next one; may wrap */
};

#if defined(HB_FPU_HELIUM)

#define HB_FPU_MAC2(sum, x)                                                                        \
    "ldrd %[a], %[b], [%[" x "]], #8\n\t"                                                          \
    "vfma.f32 " sum ", q4, %[a]\n\t"                                                               \
    "vfma.f32 " sum ", q5, %[b]\n\t"
#define HB_FPU_MAC1(sum, x)                                                                        \
    "ldr %[a], [%[" x "]], #4\n\t"                                                                 \
    "vfma.f32 " sum ", q4, %[a]\n\t"

HB_NO_INLINE void hb_fpu_tile(float *sums, const float *const *x, const float *filter,
                              const struct hb_fpu_span *span) {
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    uint32_t rows = span->rows, a, b;
    __asm volatile(
        "vldrw.32 q0, [%[w]], #16\n\t"
        "vmov q1, q0\n\t"
        "vmov q2, q0\n\t"
        "vmov q3, q0\n"
        "1:\n\t"
        "lsr %[a], %[depth], #1\n\t"
        "wls lr, %[a], 3f\n"
        "2:\n\t"
        "vldrw.32 q4, [%[w]], #16\n\t"
        "vldrw.32 q5, [%[w]], #16\n\t" HB_FPU_MAC2("q0", "x0") HB_FPU_MAC2("q1", "x1")
            HB_FPU_MAC2("q2", "x2") HB_FPU_MAC2(
                "q3", "x3") "le lr, 2b\n"
                            "3:\n\t"
                            "lsls %[a], %[depth], #31\n\t"
                            "beq 4f\n\t"
                            "vldrw.32 q4, [%[w]], #16\n\t" HB_FPU_MAC1("q0", "x0")
                                HB_FPU_MAC1("q1", "x1") HB_FPU_MAC1("q2", "x2")
                                    HB_FPU_MAC1("q3", "x3") "4:\n\t"
                                                            "add %[x0], %[skip]\n\t"
                                                            "add %[x1], %[skip]\n\t"
                                                            "add %[x2], %[skip]\n\t"
                                                            "add %[x3], %[skip]\n\t"
                                                            "subs %[rows], #1\n\t"
                                                            "bne 1b\n\t"
                                                            "vstrw.32 q0, [%[sums]]\n\t"
                                                            "vstrw.32 q1, [%[sums], #16]\n\t"
                                                            "vstrw.32 q2, [%[sums], #32]\n\t"
                                                            "vstrw.32 q3, [%[sums], #48]"
        : [w] "+r"(filter), [x0] "+r"(x0), [x1] "+r"(x1), [x2] "+r"(x2), [x3] "+r"(x3),
          [rows] "+r"(rows), [a] "=&r"(a), [b] "=&r"(b)
        : [sums] "r"(sums), [depth] "r"(span->depth), [skip] "r"(span->skip)
        : "q0", "q1", "q2", "q3", "q4", "q5", "lr", "cc", "memory");
}

HB_NO_INLINE void hb_fpu_pixel(float *sums, const float *x, const float *filter,
                               const struct hb_fpu_span *span) {
    uint32_t rows = span->rows, a, b;
    __asm volatile("vldrw.32 q0, [%[w]], #16\n"
                   "1:\n\t"
                   "lsr %[a], %[depth], #1\n\t"
                   "wls lr, %[a], 3f\n"
                   "2:\n\t"
                   "vldrw.32 q4, [%[w]], #16\n\t"
                   "vldrw.32 q5, [%[w]], #16\n\t" HB_FPU_MAC2(
                       "q0", "x0") "le lr, 2b\n"
                                   "3:\n\t"
                                   "lsls %[a], %[depth], #31\n\t"
                                   "beq 4f\n\t"
                                   "vldrw.32 q4, [%[w]], #16\n\t" HB_FPU_MAC1(
                                       "q0", "x0") "4:\n\t"
                                                   "add %[x0], %[skip]\n\t"
                                                   "subs %[rows], #1\n\t"
                                                   "bne 1b\n\t"
                                                   "vstrw.32 q0, [%[sums]]"
                   : [w] "+r"(filter), [x0] "+r"(x), [rows] "+r"(rows), [a] "=&r"(a), [b] "=&r"(b)
                   : [sums] "r"(sums), [depth] "r"(span->depth), [skip] "r"(span->skip)
                   : "q0", "q4", "q5", "lr", "cc", "memory");
}

#elif defined(HB_FPU_SCALAR)

#define HB_FPU_MAC(sum, w, x) "vfma.f32 s" #sum ", s" #w ", s" #x "\n\t"
/* Four channels of a pixel. */
#define HB_FPU_MAC4(s0, s1, s2, s3, w0, w1, w2, w3, x)                                             \
    HB_FPU_MAC(s0, w0, x) HB_FPU_MAC(s1, w1, x) HB_FPU_MAC(s2, w2, x) HB_FPU_MAC(s3, w3, x)
#define HB_FPU_MAC16(w0, w1, w2, w3, x0, x1, x2, x3)                                               \
    HB_FPU_MAC4(0, 1, 2, 3, w0, w1, w2, w3, x0)                                                    \
    HB_FPU_MAC4(4, 5, 6, 7, w0, w1, w2, w3, x1)                                                    \
    HB_FPU_MAC4(8, 9, 10, 11, w0, w1, w2, w3, x2)                                                  \
    HB_FPU_MAC4(12, 13, 14, 15, w0, w1, w2, w3, x3)
#define HB_FPU_ALL                                                                                 \
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", \
        "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27", \
        "s28", "s29", "s30", "s31", "cc", "memory"

HB_NO_INLINE void hb_fpu_tile(float *sums, const float *const *x, const float *filter,
                              const struct hb_fpu_span *span) {
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    uint32_t rows = span->rows, n;
    __asm volatile("vldm %[w], {s0-s3}\n\t"
                   "vldm %[w], {s4-s7}\n\t"
                   "vldm %[w], {s8-s11}\n\t"
                   "vldmia %[w]!, {s12-s15}\n"
                   "1:\n\t"
                   "lsrs %[n], %[depth], #1\n\t"
                   "beq 3f\n"
                   "2:\n\t"
                   "vldmia %[w]!, {s16-s23}\n\t"
                   "vldmia %[x0]!, {s24-s25}\n\t"
                   "vldmia %[x1]!, {s26-s27}\n\t"
                   "vldmia %[x2]!, {s28-s29}\n\t"
                   "vldmia %[x3]!, {s30-s31}\n\t"
                   "subs %[n], #1\n\t" HB_FPU_MAC16(16, 17, 18, 19, 24, 26, 28, 30)
                       HB_FPU_MAC16(20, 21, 22, 23, 25, 27, 29,
                                    31) "bne 2b\n"
                                        "3:\n\t"
                                        "lsls %[n], %[depth], #31\n\t"
                                        "beq 4f\n\t"
                                        "vldmia %[w]!, {s16-s19}\n\t"
                                        "vldmia %[x0]!, {s24}\n\t"
                                        "vldmia %[x1]!, {s26}\n\t"
                                        "vldmia %[x2]!, {s28}\n\t"
                                        "vldmia %[x3]!, {s30}\n\t" HB_FPU_MAC16(
                                            16, 17, 18, 19, 24, 26, 28, 30) "4:\n\t"
                                                                            "add %[x0], %[skip]\n\t"
                                                                            "add %[x1], %[skip]\n\t"
                                                                            "add %[x2], %[skip]\n\t"
                                                                            "add %[x3], %[skip]\n\t"
                                                                            "subs %[rows], #1\n\t"
                                                                            "bne 1b\n\t"
                                                                            "vstm %[sums], {s0-s15}"
                   : [w] "+r"(filter), [x0] "+r"(x0), [x1] "+r"(x1), [x2] "+r"(x2), [x3] "+r"(x3),
                     [rows] "+r"(rows), [n] "=&r"(n)
                   : [sums] "r"(sums), [depth] "r"(span->depth), [skip] "r"(span->skip)
                   : HB_FPU_ALL);
}

HB_NO_INLINE void hb_fpu_pixel(float *sums, const float *x, const float *filter,
                               const struct hb_fpu_span *span) {
    uint32_t rows = span->rows, n;
    __asm volatile("vldmia %[w]!, {s0-s3}\n"
                   "1:\n\t"
                   "lsrs %[n], %[depth], #2\n\t"
                   "beq 3f\n"
                   "2:\n\t"
                   "vldmia %[w]!, {s16-s31}\n\t"
                   "vldmia %[x]!, {s8-s11}\n\t"
                   "subs %[n], #1\n\t" HB_FPU_MAC4(0, 1, 2, 3, 16, 17, 18, 19, 8) HB_FPU_MAC4(
                       0, 1, 2, 3, 20, 21, 22, 23, 9) HB_FPU_MAC4(0, 1, 2, 3, 24, 25, 26, 27, 10)
                       HB_FPU_MAC4(0, 1, 2, 3, 28, 29, 30, 31,
                                   11) "bne 2b\n"
                                       "3:\n\t"
                                       "ands %[n], %[depth], #3\n\t"
                                       "beq 5f\n"
                                       "4:\n\t"
                                       "vldmia %[w]!, {s16-s19}\n\t"
                                       "vldmia %[x]!, {s8}\n\t"
                                       "subs %[n], #1\n\t" HB_FPU_MAC4(0, 1, 2, 3, 16, 17, 18, 19,
                                                                       8) "bne 4b\n"
                                                                          "5:\n\t"
                                                                          "add %[x], %[skip]\n\t"
                                                                          "subs %[rows], #1\n\t"
                                                                          "bne 1b\n\t"
                                                                          "vstm %[sums], {s0-s3}"
                   : [w] "+r"(filter), [x] "+r"(x), [rows] "+r"(rows), [n] "=&r"(n)
                   : [sums] "r"(sums), [depth] "r"(span->depth), [skip] "r"(span->skip)
                   : HB_FPU_ALL);
}

#else

HB_NO_INLINE void hb_fpu_pixel(float *sums, const float *x, const float *filter,
                               const struct hb_fpu_span *span) {
    memcpy(sums, filter, HB_FPU_CHANNELS * sizeof *sums);
    for (uint32_t row = 0; row < span->rows; row++) {
        for (uint32_t k = 0; k < span->depth; k++, x++) {
            filter += HB_FPU_CHANNELS;
            for (uint32_t c = 0; c < HB_FPU_CHANNELS; c++) {
                sums[c] += *x * filter[c];
            }
        }
        if (row + 1u < span->rows) {
            x += (int32_t)span->skip / (int32_t)sizeof *x;
        }
    }
}

HB_NO_INLINE void hb_fpu_tile(float *sums, const float *const *x, const float *filter,
                              const struct hb_fpu_span *span) {
    for (uint32_t p = 0; p < HB_FPU_PIXELS; p++, sums += HB_FPU_CHANNELS) {
        hb_fpu_pixel(sums, x[p], filter, span);
    }
}

#endif

#endif
