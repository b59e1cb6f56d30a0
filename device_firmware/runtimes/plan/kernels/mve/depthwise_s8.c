/* DEPTHWISE_CONV_2D, int8, any kernel, a multiple of 8 channels, each with one filter.
 *
 * Eight channels at a time. Products of two taps are added in 16 bits, which holds them as no
 * weight is -128. Taps in the padding read a row of zero points in scratch. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "mve.h"

#define GROUP 8 /* channels */

/* Of a group: even channels, then odd ones, as widening splits them. */
struct group_scales {
    int32_t bias[2][4];
    int32_t multiplier[2][4];
    int8_t shift[2][4];
};

static uint32_t pairs_of(const struct hb_plan_window *w) {
    return ((uint32_t)w->kernel_h * w->kernel_w + 1u) / 2u;
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->in_c != w->out_c || w->in_c % GROUP != 0 ||
        (uint32_t)w->kernel_h * w->kernel_w > HB_WINDOW_MAX_ELEMENTS) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised) || op.away > 1u) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    const uint64_t taps = 2u * (uint64_t)pairs_of(w);
    const uint64_t scratch_bytes = taps * sizeof(int32_t) + w->in_c;
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, scratch_bytes, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    /* Places are counted from a window's origin, which may lie in the padding, in an int32. */
    const uint64_t padding = (uint64_t)w->pad_top * w->in_w + w->pad_left;
    if (padding > ((uint32_t)INT32_MAX - memory->arena_bytes) / w->in_c) {
        return HB_PLAN_FAULT_SHAPE;
    }
    /* The table of taps must stay what it is. */
    if (op.scratch < op.head.output + hb_window_out(w) &&
        op.head.output < op.scratch + scratch_bytes) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint32_t groups = w->in_c / GROUP;
    if (!hb_constant_ok(memory, op.weights, taps * w->in_c, 1u) ||
        !hb_constant_ok(memory, op.scales, groups, sizeof(struct group_scales))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const struct group_scales *scales =
        (const struct group_scales *)(const void *)(memory->constants + op.scales);
    for (uint32_t c = 0; c < w->in_c; c++) {
        const int8_t shift = scales[c / GROUP].shift[c % 2u][c % GROUP / 2u];
        if (!hb_scale_ok(scales[c / GROUP].multiplier[c % 2u][c % GROUP / 2u], shift) ||
            shift > 0) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

/* Where the taps of a window are, from its origin, which may lie outside the input; `zeros` is
 * where the row of zero points is. An odd number of taps gets one more, whose weights are 0. */
static void find_taps(int32_t *taps, const struct hb_plan_window *w, int32_t y, int32_t x,
                      int32_t zeros) {
    int32_t *tap = taps;
    for (int32_t i = 0; i < w->kernel_h; i++, y += w->dilation_h) {
        int32_t column = x;
        for (int32_t j = 0; j < w->kernel_w; j++, column += w->dilation_w) {
            const bool inside = y >= 0 && y < w->in_h && column >= 0 && column < w->in_w;
            *tap++ = inside ? (i * w->dilation_h * w->in_w + j * w->dilation_w) * w->in_c : zeros;
        }
    }
    if ((uint32_t)w->kernel_h * w->kernel_w % 2u != 0u) {
        *tap = taps[0];
    }
}

struct constants {
    const int8_t *weights; /* [group][tap][8 channels] */
    const struct group_scales *scales;
    const struct group_scales *scales_end;
    int32_t pairs;
    int32_t away;
    int16_t zero_point;
    int16_t minimum, maximum;
};

/* As numbers: the origin may be no address. */
HB_INLINE int16x8_t values_at(uintptr_t window, int32_t tap) {
    return vldrbq_s16((const int8_t *)(window + (uintptr_t)(intptr_t)tap));
}

static void pixel(const struct constants *k, const int32_t *taps, uintptr_t window,
                  int8_t *output) {
    const int16x8_t minimum = vdupq_n_s16(k->minimum);
    const int16x8_t maximum = vdupq_n_s16(k->maximum);
    const int8_t *weights = k->weights;
    const struct group_scales *scales = k->scales;
    do {
        int32x4_t even = vldrwq_s32(scales->bias[0]);
        int32x4_t odd = vldrwq_s32(scales->bias[1]);
        const int32_t *tap = taps;
        for (int32_t pairs = k->pairs; pairs > 0; pairs--, tap += 2, weights += 2 * GROUP) {
            const int16x8_t first = vmulq_s16(values_at(window, tap[0]), vldrbq_s16(weights));
            const int16x8_t second =
                vmulq_s16(values_at(window, tap[1]), vldrbq_s16(weights + GROUP));
            const int16x8_t sum = vaddq_s16(first, second);
            even = vaddq_s32(even, vmovlbq_s16(sum));
            odd = vaddq_s32(odd, vmovltq_s16(sum));
        }
        even = hb_mve_scale(even, vldrwq_s32(scales->multiplier[0]), vldrbq_s32(scales->shift[0]),
                            k->away);
        odd = hb_mve_scale(odd, vldrwq_s32(scales->multiplier[1]), vldrbq_s32(scales->shift[1]),
                           k->away);
        int16x8_t result = vqmovnbq_s32(vreinterpretq_s16_s32(even), even);
        result = vqaddq_n_s16(vqmovntq_s32(result, odd), k->zero_point);
        vstrbq_s16(output, vminq_s16(vmaxq_s16(result, minimum), maximum));
        window += GROUP;
        output += GROUP;
    } while (++scales != k->scales_end);
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const struct group_scales *scales =
        (const struct group_scales *)(const void *)(memory->constants + op.scales);
    const struct constants k = {(const int8_t *)(memory->constants + op.weights),
                                scales,
                                scales + w->in_c / GROUP,
                                (int32_t)pairs_of(w),
                                (int32_t)op.away,
                                op.quantised.output_zero_point,
                                op.quantised.minimum,
                                op.quantised.maximum};
    int32_t *taps = (int32_t *)(void *)(memory->arena + op.scratch);
    const int32_t zeros = (int32_t)op.scratch + k.pairs * 2 * (int32_t)sizeof(int32_t);
    hb_mve_fill((int8_t *)memory->arena + zeros, op.quantised.input_zero_point, w->in_c);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const int32_t reach_h = (w->kernel_h - 1) * w->dilation_h;
    const int32_t reach_w = (w->kernel_w - 1) * w->dilation_w;
    bool found = false; /* taps of a window inside the input: they are the same for all */
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const int32_t origin = (int32_t)op.head.input + (y * w->in_w + x) * w->in_c;
            const bool inside = y >= 0 && x >= 0 && y + reach_h < w->in_h && x + reach_w < w->in_w;
            if (!inside || !found) {
                find_taps(taps, w, y, x, zeros - origin);
                found = inside;
            }
            pixel(&k, taps, (uintptr_t)memory->arena + (uintptr_t)(intptr_t)origin, output);
            output += w->out_c;
        }
    }
}

const struct hb_kernel hb_mve_depthwise_s8 = {HB_PLAN_DEPTHWISE_S8_MVE,
                                              sizeof(struct hb_plan_depthwise_s8_mve), check, run};

#endif
