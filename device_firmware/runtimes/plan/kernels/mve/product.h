/* Two pixels times the weights of all output channels, four at a time.
 *
 * Weights are [block][step][4 channels][16 of depth], padded with zeros, so one pointer walks
 * through them and what lies behind a pixel's last value does not matter. */
#ifndef HB_MVE_PRODUCT_H
#define HB_MVE_PRODUCT_H

#include "mve.h"

/* The assembly knows the offsets. */
struct hb_mve_product {
    const struct hb_mve_scales *scales_end; /* 0 */
    const int8_t *pixel[2];                 /* 4, 8 */
    uint32_t more_steps;                    /* 12: after the first */
    int32_t away;                           /* 16 */
    int32_t zero_point;                     /* 20 */
    int8_t *output[2];                      /* 24, 28 */
    int32_t minimum;                        /* 32 */
    int32_t maximum;                        /* 36 */
    const int8_t *weights;                  /* 40 */
    const struct hb_mve_scales *scales;     /* 44 */
    int32_t pitch;                          /* 48: of tiles, from four channels to the next four */
    int32_t pixel_step;                     /* 52: from pair to pair */
    int32_t channels;                       /* 56: a multiple of the block where pairs > 1 */
    uint32_t pairs;                         /* 60 */
};

#ifdef __ARM_FEATURE_MVE

/* 16 of depth: a load beside each multiplication, as both take the same time. */
#define HB_MVE_STEP(VMLADAV)                                                                       \
    "vldrb.8 q0, [r3], #16\n\t"                                                                    \
    "vldrb.8 q2, [r9], #16\n\t" VMLADAV " r0, q0, q2\n\t"                                          \
    "vldrb.8 q1, [r5], #16\n\t" VMLADAV " r8, q1, q2\n\t"                                          \
    "vldrb.8 q3, [r9], #16\n\t" VMLADAV " r2, q0, q3\n\t"                                          \
    "vldrb.8 q2, [r9], #16\n\t" VMLADAV " r10, q1, q3\n\t"                                         \
    "vldrb.8 q3, [r9], #16\n\t" VMLADAV " r4, q0, q2\n\t" VMLADAV " r12, q1, q2\n\t" VMLADAV       \
    " r6, q0, q3\n\t" VMLADAV " lr, q1, q3\n\t"

/* The sums of a block in the even registers, 0 to 6 of the first pixel and 8 to 14 of the second,
 * become bytes. r1: scales, r11: p; r2 is then p->scales_end. */
#define HB_MVE_BEGIN                                                                               \
    "ldrd r0, r2, [r11, #32]\n\t"                                                                  \
    "vdup.16 q4, r0\n\t"                                                                           \
    "vdup.16 q5, r2\n\t"                                                                           \
    "ldrd r9, r1, [r11, #40]\n\t"
#define HB_MVE_RESULTS(LOAD)                                                                       \
    "vldrw.32 q2, [r1], #16\n\t"                                                                   \
    "vmov q0[2], q0[0], r0, r4\n\t"                                                                \
    "vmov q0[3], q0[1], r2, r6\n\t"                                                                \
    "vmov q1[2], q1[0], r8, r12\n\t"                                                               \
    "vmov q1[3], q1[1], r10, lr\n\t"                                                               \
    "vldrw.32 q3, [r1], #16\n\t"                                                                   \
    "vadd.i32 q0, q0, q2\n\t"                                                                      \
    "ldrd r0, r8, [r11, #16]\n\t"                                                                  \
    "vadd.i32 q1, q1, q2\n\t"                                                                      \
    "vldrb.s32 q2, [r1], #4\n\t"                                                                   \
    "vqrdmulh.s32 q0, q0, q3\n\t"                                                                  \
    "vqrdmulh.s32 q1, q1, q3\n\t"                                                                  \
    "ldrd r4, r6, [r11, #24]\n\t"                                                                  \
    "vqdmlah.s32 q0, q0, r0\n\t"                                                                   \
    "vqdmlah.s32 q1, q1, r0\n\t"                                                                   \
    "vrshl.s32 q0, q0, q2\n\t"                                                                     \
    "vrshl.s32 q1, q1, q2\n\t" LOAD "vqmovnb.s32 q2, q0\n\t"                                       \
    "vqmovnt.s32 q2, q1\n\t"                                                                       \
    "vqadd.s16 q2, q2, r8\n\t"                                                                     \
    "vmax.s16 q2, q2, q4\n\t"                                                                      \
    "vmin.s16 q2, q2, q5\n\t"                                                                      \
    "vstrb.32 q2, [r4], #4\n\t"                                                                    \
    "vshr.u32 q2, q2, #16\n\t"                                                                     \
    "vstrb.32 q2, [r6], #4\n\t"                                                                    \
    "strd r4, r6, [r11, #24]\n\t"                                                                  \
    "cmp r1, r2\n\t"                                                                               \
    "bne 1b"

/* Pairs of pixels at equal steps, the output dense. r9: weights, r3 and r5: pixels, r7: steps. No
 * register is left for the loop counter of LE. Pixels, outputs and pairs of p are used up. */
HB_NO_INLINE void hb_mve_product(struct hb_mve_product *p) {
    register struct hb_mve_product *r11 __asm("r11") = p;
    __asm volatile(HB_MVE_BEGIN "ldm r11, {r2, r3, r5, r7}\n"
                                "1:\n\t" HB_MVE_STEP("vmladav.s8") /* */
                   "lsrs r7, r7, #1\n\t"
                   "bcc 2f\n\t" HB_MVE_STEP("vmladava.s8") /* */
                   "2:\n\t"
                   "beq 4f\n"
                   "3:\n\t" HB_MVE_STEP("vmladava.s8") HB_MVE_STEP("vmladava.s8") /* */
                   "subs r7, r7, #1\n\t"
                   "bne 3b\n"
                   "4:\n\t" HB_MVE_RESULTS("ldm r11, {r2, r3, r5, r7}\n\t") /* */
                   "\n\t"
                   "ldrd r0, r8, [r11, #52]\n\t"
                   "ldrd r9, r1, [r11, #40]\n\t"
                   "add r3, r3, r0\n\t"
                   "add r5, r5, r0\n\t"
                   "ldr r0, [r11, #60]\n\t"
                   "add r4, r4, r8\n\t"
                   "add r6, r6, r8\n\t"
                   "strd r3, r5, [r11, #4]\n\t"
                   "subs r0, r0, #1\n\t"
                   "strd r4, r6, [r11, #24]\n\t"
                   "str r0, [r11, #60]\n\t"
                   "bne 1b"
                   : "+r"(r11)
                   :
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r12", "lr",
                     "q0", "q1", "q2", "q3", "q4", "q5", "cc", "memory");
}

#else

/* A block of a pixel, from its sums to bytes. */
static void hb_mve_results(struct hb_mve_product *p, int32_t pixel, const uint32_t *sums,
                           const struct hb_mve_scales *scales) {
    int32_t results[HB_MVE_BLOCK];
    memcpy(results, sums, sizeof results);
    vstrwq_s32(results,
               hb_mve_scale(vaddq_s32(vldrwq_s32(results), vldrwq_s32(scales->bias)),
                            vldrwq_s32(scales->multiplier), vldrbq_s32(scales->shift), p->away));
    for (uint32_t c = 0; c < HB_MVE_BLOCK; c++) {
        const int32_t y = hb_clamp(results[c], INT16_MIN, INT16_MAX) + p->zero_point;
        *p->output[pixel]++ = (int8_t)hb_clamp(y, p->minimum, p->maximum);
    }
}

HB_NO_INLINE void hb_mve_product_pair(struct hb_mve_product *p) {
    const int8_t *weights = p->weights;
    const int32_t depth = (int32_t)((p->more_steps + 1u) * HB_MVE_DEPTH);
    for (const struct hb_mve_scales *scales = p->scales; scales != p->scales_end; scales++) {
        for (int32_t pixel = 0; pixel < 2; pixel++) {
            uint32_t sums[HB_MVE_BLOCK] = {0};
            for (int32_t c = 0; c < (int32_t)HB_MVE_BLOCK; c++) {
                for (int32_t i = 0; i < depth; i++) {
                    const int32_t place = i / 16 * 64 + c * 16 + i % 16;
                    sums[c] += (uint32_t)(p->pixel[pixel][i] * weights[place]);
                }
            }
            hb_mve_results(p, pixel, sums, scales);
        }
        weights += depth * (int32_t)HB_MVE_BLOCK;
    }
}

HB_NO_INLINE void hb_mve_product(struct hb_mve_product *p) {
    for (; p->pairs > 0u; p->pairs--) {
        hb_mve_product_pair(p);
        for (int32_t i = 0; i < 2; i++) {
            p->pixel[i] += p->pixel_step;
            p->output[i] += p->channels;
        }
    }
}

#endif

#endif
