/* The Helium intrinsics that the kernels use, in C, for host tests.
 * Source: Arm Architecture Reference Manual (DDI 0553), the instructions' pseudocode. */
#ifndef ARM_MVE_H
#define ARM_MVE_H

#include <stdint.h>
#include <string.h>

typedef struct {
    int32_t lane[4];
} int32x4_t;

typedef struct {
    int16_t lane[8];
} int16x8_t;

static inline int64_t emulated_saturate(int64_t x, unsigned bits) {
    const int64_t limit = (int64_t)1 << (bits - 1u);
    return x < -limit ? -limit : x >= limit ? limit - 1 : x;
}

#define EACH(i, n) for (int i = 0; i < (n); i++)
#define LANES(type, n, value)                                                                      \
    {                                                                                              \
        type result;                                                                               \
        EACH(i, n) result.lane[i] = (value);                                                       \
        return result;                                                                             \
    }

static inline int32x4_t vdupq_n_s32(int32_t a) LANES(int32x4_t, 4, a) static inline int16x8_t
    vdupq_n_s16(int16_t a) LANES(int16x8_t, 8, a) static inline int32x4_t
    vldrwq_s32(const int32_t *p) LANES(int32x4_t, 4, p[i]) static inline int32x4_t
    vldrbq_s32(const int8_t *p) LANES(int32x4_t, 4, p[i]) static inline int16x8_t
    vldrbq_s16(const int8_t *p) LANES(int16x8_t, 8, p[i])

        static inline void vstrwq_s32(int32_t *p, int32x4_t a) {
    memcpy(p, a.lane, sizeof a.lane);
}

static inline void vstrbq_s16(int8_t *p, int16x8_t a) {
    EACH(i, 8) p[i] = (int8_t)(uint8_t)a.lane[i];
}

static inline int32x4_t vaddq_s32(int32x4_t a, int32x4_t b)
    LANES(int32x4_t, 4,
          (int32_t)((uint32_t)a.lane[i] + (uint32_t)b.lane[i])) static inline int16x8_t
    vaddq_s16(int16x8_t a, int16x8_t b)
        LANES(int16x8_t, 8, (int16_t)(uint16_t)(a.lane[i] + b.lane[i])) static inline int16x8_t
    vmulq_s16(int16x8_t a, int16x8_t b)
        LANES(int16x8_t, 8, (int16_t)(uint16_t)(a.lane[i] * b.lane[i])) static inline int16x8_t
    vqaddq_n_s16(int16x8_t a, int16_t b)
        LANES(int16x8_t, 8, (int16_t)emulated_saturate(a.lane[i] + b, 16)) static inline int16x8_t
    vmaxq_s16(int16x8_t a, int16x8_t b)
        LANES(int16x8_t, 8, a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]) static inline int16x8_t
    vminq_s16(int16x8_t a, int16x8_t b)
        LANES(int16x8_t, 8, a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i])

            static inline int32x4_t vmovlbq_s16(int16x8_t a)
                LANES(int32x4_t, 4, a.lane[2 * i]) static inline int32x4_t vmovltq_s16(int16x8_t a)
                    LANES(int32x4_t, 4, a.lane[2 * i + 1])

                        static inline int16x8_t vreinterpretq_s16_s32(int32x4_t a) {
    int16x8_t result;
    memcpy(result.lane, a.lane, sizeof result.lane);
    return result;
}

static inline int16x8_t vqmovnbq_s32(int16x8_t a, int32x4_t b) {
    EACH(i, 4) a.lane[2 * i] = (int16_t)emulated_saturate(b.lane[i], 16);
    return a;
}

static inline int16x8_t vqmovntq_s32(int16x8_t a, int32x4_t b) {
    EACH(i, 4) a.lane[2 * i + 1] = (int16_t)emulated_saturate(b.lane[i], 16);
    return a;
}

/* (2 * a * b + 2^31) >> 32, saturated. */
static inline int32x4_t vqrdmulhq_s32(int32x4_t a, int32x4_t b)
    LANES(int32x4_t, 4,
          (int32_t)emulated_saturate(((int64_t)a.lane[i] * b.lane[i] + ((int64_t)1 << 30)) >> 31,
                                     32))

    /* a + (2 * b * c >> 32), saturated. */
    static inline int32x4_t vqdmlahq_n_s32(int32x4_t a, int32x4_t b, int32_t c)
        LANES(int32x4_t, 4,
              (int32_t)emulated_saturate(a.lane[i] + (((int64_t)b.lane[i] * c) >> 31), 32))

    /* The lowest byte of a lane of b: to the left, or, rounded to nearest with ties upwards, to the
     * right. */
    static inline int32_t emulated_rounding_shift(int32_t a, int32_t b) {
    const int shift = (int8_t)(uint8_t)b;
    if (shift >= 0) {
        return shift > 31 ? 0 : (int32_t)((uint32_t)a << shift);
    }
    return shift < -32 ? 0 : (int32_t)((a + ((int64_t)1 << (-shift - 1))) >> -shift);
}

static inline int32x4_t vrshlq_s32(int32x4_t a, int32x4_t b)
    LANES(int32x4_t, 4, emulated_rounding_shift(a.lane[i], b.lane[i]))

#endif
