/* What the Helium kernels share: copies, requantisation, four channels of two pixels.
 *
 * Inner loops are assembly. VMLADAV adds into even general registers only, and eight of them are
 * all there are: gcc spills them. A host test (no __ARM_FEATURE_MVE) gets the same in C, and
 * brings an arm_mve.h of its own. */
#ifndef HB_MVE_H
#define HB_MVE_H

#include <arm_mve.h>

#include "../portable/requantise.h"
#include "../portable/window.h"

#define HB_MVE_BLOCK 4u  /* output channels of a block of weights */
#define HB_MVE_DEPTH 16u /* of one multiplication */

/* Of a block: 36 bytes, as they lie in the plan. */
struct hb_mve_scales {
    int32_t bias[HB_MVE_BLOCK];
    int32_t multiplier[HB_MVE_BLOCK];
    int8_t shift[HB_MVE_BLOCK]; /* right: 0 or below */
};

static inline uint32_t hb_mve_blocks(uint32_t channels) {
    return (channels + HB_MVE_BLOCK - 1u) / HB_MVE_BLOCK;
}

static inline uint32_t hb_mve_steps(uint32_t depth) {
    return (depth + HB_MVE_DEPTH - 1u) / HB_MVE_DEPTH;
}

/* Only negative halves round away from zero: `away` is 1 where a result below the output's zero
 * point survives the clamp. That is right for shifts below 0 only, so the planner sees to it. */
HB_INLINE int32x4_t hb_mve_scale(int32x4_t x, int32x4_t multiplier, int32x4_t shift, int32_t away) {
    x = vqrdmulhq_s32(x, multiplier);
    x = vqdmlahq_n_s32(x, x, away); /* x + (2 * x * away >> 32) */
    return vrshlq_s32(x, shift);
}

static inline bool hb_mve_scales_ok(const struct hb_kernel_memory *memory, uint32_t offset,
                                    uint32_t blocks) {
    const struct hb_mve_scales *scales =
        (const struct hb_mve_scales *)(const void *)(memory->constants + offset);
    for (; blocks > 0u; blocks--, scales++) {
        for (uint32_t i = 0; i < HB_MVE_BLOCK; i++) {
            if (!hb_scale_ok(scales->multiplier[i], scales->shift[i]) || scales->shift[i] > 0) {
                return false;
            }
        }
    }
    return true;
}

/* Exactly n bytes, n may be 0. */
HB_INLINE int8_t *hb_mve_copy(int8_t *to, const int8_t *from, int32_t n) {
#ifdef __ARM_FEATURE_MVE
    int8_t *end = to + n;
    __asm volatile("wlstp.8 lr, %[n], 2f\n"
                   "1:\n\t"
                   "vldrb.8 q0, [%[from]], #16\n\t"
                   "vstrb.8 q0, [%[to]], #16\n\t"
                   "letp lr, 1b\n"
                   "2:"
                   : [to] "+r"(to), [from] "+r"(from)
                   : [n] "r"(n)
                   : "lr", "q0", "memory");
    return end;
#else
    memmove(to, from, (size_t)n);
    return to + n;
#endif
}

HB_INLINE int8_t *hb_mve_fill(int8_t *to, int32_t value, int32_t n) {
#ifdef __ARM_FEATURE_MVE
    int8_t *end = to + n;
    __asm volatile("vdup.8 q0, %[value]\n\t"
                   "wlstp.8 lr, %[n], 2f\n"
                   "1:\n\t"
                   "vstrb.8 q0, [%[to]], #16\n\t"
                   "letp lr, 1b\n"
                   "2:"
                   : [to] "+r"(to)
                   : [value] "r"(value), [n] "r"(n)
                   : "lr", "q0", "memory");
    return end;
#else
    memset(to, value, (size_t)n);
    return to + n;
#endif
}

/* Clamps n bytes where they lie. */
HB_NO_INLINE void hb_mve_clamp(int8_t *values, int32_t n, int32_t minimum, int32_t maximum) {
#ifdef __ARM_FEATURE_MVE
    __asm volatile("vdup.8 q1, %[minimum]\n\t"
                   "vdup.8 q2, %[maximum]\n\t"
                   "wlstp.8 lr, %[n], 2f\n"
                   "1:\n\t"
                   "vldrb.8 q0, [%[values]]\n\t"
                   "vmax.s8 q0, q0, q1\n\t"
                   "vmin.s8 q0, q0, q2\n\t"
                   "vstrb.8 q0, [%[values]], #16\n\t"
                   "letp lr, 1b\n"
                   "2:"
                   : [values] "+r"(values)
                   : [minimum] "r"(minimum), [maximum] "r"(maximum), [n] "r"(n)
                   : "lr", "q0", "q1", "q2", "memory");
#else
    for (; n > 0; n--, values++) {
        *values = (int8_t)hb_clamp(*values, minimum, maximum);
    }
#endif
}

#endif
