/* DEPTHWISE_CONV_2D with one output channel per input channel, float32: eight channels of a pixel
 * at a time, over the taps that lie on the input.
 *
 * filters: per eight channels {8 biases, [kernel_h][kernel_w][8] weights}, padded with zeros. */
#include "fpu.h"

#ifdef HB_WITH_FPU

#define CHANNELS 8u

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_f32_fpu op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->in_c != w->out_c) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 4u, hb_window_out(w), 4u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint64_t blocks = (w->out_c + CHANNELS - 1u) / CHANNELS;
    const uint64_t filter = (uint64_t)w->kernel_h * w->kernel_w;
    return hb_constant_ok(memory, op.filters, blocks * (filter + 1u), 4u * CHANNELS)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_CONSTANT;
}

/* The taps of a pixel that lie on the input; steps in bytes. */
struct taps {
    uint32_t rows, columns;
    uint32_t input_step;   /* to the next tap */
    uint32_t input_skip;   /* from behind a row's last tap to the next row; may wrap */
    uint32_t weights_skip; /* of taps that are left out */
};

static void any(float *sums, const float *x, const float *bias, const float *weights,
                const struct taps *taps, uint32_t channels) {
    for (uint32_t c = 0; c < channels; c++, x++, bias++, weights++) {
        const uint8_t *from = (const uint8_t *)x, *w = (const uint8_t *)weights;
        float sum = *bias;
        for (uint32_t row = taps->rows; row > 0u; row--) {
            for (uint32_t column = taps->columns; column > 0u; column--) {
                sum += *(const float *)(const void *)from * *(const float *)(const void *)w;
                from += taps->input_step;
                w += CHANNELS * sizeof sum;
            }
            if (row > 1u) {
                from += (int32_t)taps->input_skip;
                w += taps->weights_skip;
            }
        }
        sums[c] = sum;
    }
}

#if defined(HB_FPU_HELIUM)

HB_INLINE void eight(float *sums, const float *x, const float *bias, const float *weights,
                     const struct taps *taps) {
    uint32_t rows = taps->rows;
    __asm volatile("vldrw.32 q0, [%[bias]]\n\t"
                   "vldrw.32 q1, [%[bias], #16]\n"
                   "1:\n\t"
                   "dls lr, %[columns]\n"
                   "2:\n\t"
                   "vldrw.32 q2, [%[x]]\n\t"
                   "vldrw.32 q3, [%[x], #16]\n\t"
                   "vldrw.32 q4, [%[w]], #16\n\t"
                   "vldrw.32 q5, [%[w]], #16\n\t"
                   "add %[x], %[step]\n\t"
                   "vfma.f32 q0, q2, q4\n\t"
                   "vfma.f32 q1, q3, q5\n\t"
                   "le lr, 2b\n\t"
                   "add %[x], %[skip]\n\t"
                   "add %[w], %[left_out]\n\t"
                   "subs %[rows], #1\n\t"
                   "bne 1b\n\t"
                   "vstrw.32 q0, [%[sums]]\n\t"
                   "vstrw.32 q1, [%[sums], #16]"
                   : [w] "+r"(weights), [x] "+r"(x), [rows] "+r"(rows)
                   : [bias] "r"(bias), [sums] "r"(sums), [columns] "r"(taps->columns),
                     [step] "r"(taps->input_step), [skip] "r"(taps->input_skip),
                     [left_out] "r"(taps->weights_skip)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "lr", "cc", "memory");
}

#elif defined(HB_FPU_SCALAR)

HB_INLINE void eight(float *sums, const float *x, const float *bias, const float *weights,
                     const struct taps *taps) {
    uint32_t rows = taps->rows, n;
    __asm volatile("vldm %[bias], {s0-s7}\n"
                   "1:\n\t"
                   "mov %[n], %[columns]\n"
                   "2:\n\t"
                   "vldm %[x], {s8-s15}\n\t"
                   "add %[x], %[step]\n\t"
                   "vldmia %[w]!, {s16-s23}\n\t"
                   "subs %[n], #1\n\t"
                   "vfma.f32 s0, s8, s16\n\t"
                   "vfma.f32 s1, s9, s17\n\t"
                   "vfma.f32 s2, s10, s18\n\t"
                   "vfma.f32 s3, s11, s19\n\t"
                   "vfma.f32 s4, s12, s20\n\t"
                   "vfma.f32 s5, s13, s21\n\t"
                   "vfma.f32 s6, s14, s22\n\t"
                   "vfma.f32 s7, s15, s23\n\t"
                   "bne 2b\n\t"
                   "add %[x], %[skip]\n\t"
                   "add %[w], %[left_out]\n\t"
                   "subs %[rows], #1\n\t"
                   "bne 1b\n\t"
                   "vstm %[sums], {s0-s7}"
                   : [w] "+r"(weights), [x] "+r"(x), [rows] "+r"(rows), [n] "=&r"(n)
                   : [bias] "r"(bias), [sums] "r"(sums), [columns] "r"(taps->columns),
                     [step] "r"(taps->input_step), [skip] "r"(taps->input_skip),
                     [left_out] "r"(taps->weights_skip)
                   : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
                     "s12", "s13", "s14", "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22",
                     "s23", "cc", "memory");
}

#else

static void eight(float *sums, const float *x, const float *bias, const float *weights,
                  const struct taps *taps) {
    any(sums, x, bias, weights, taps, CHANNELS);
}

#endif

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_f32_fpu op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    const float *filters = hb_constant_f32(memory, op.filters);
    const enum hb_fpu_clamp clamp = hb_fpu_clamp_of(&op.range);
    const uint32_t filter = ((uint32_t)w->kernel_h * w->kernel_w + 1u) * CHANNELS;
    const uint32_t pixel = 4u * w->in_c;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps ys = hb_taps_inside(y, w->kernel_h, w->dilation_h, w->in_h);
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps xs = hb_taps_inside(x, w->kernel_w, w->dilation_w, w->in_w);
            struct taps taps = {(uint32_t)(ys.end - ys.begin), (uint32_t)(xs.end - xs.begin),
                                pixel * w->dilation_w, 0u, 0u};
            if (taps.rows == 0u || taps.columns == 0u) {
                taps.rows = 0u;
            }
            taps.input_skip = pixel * w->in_w * w->dilation_h - taps.columns * taps.input_step;
            taps.weights_skip = (w->kernel_w - taps.columns) * CHANNELS * 4u;
            const int32_t top = y + ys.begin * w->dilation_h, left = x + xs.begin * w->dilation_w;
            const float *from = input;
            if (taps.rows != 0u) {
                from += ((size_t)top * w->in_w + (size_t)left) * w->in_c;
            }
            const size_t first =
                ((size_t)ys.begin * w->kernel_w + (size_t)xs.begin + 1u) * CHANNELS;
            const float *block = filters;
            for (uint32_t c = 0; c < w->out_c; c += CHANNELS, from += CHANNELS, block += filter) {
                float sums[CHANNELS];
                const uint32_t channels = w->out_c - c < CHANNELS ? w->out_c - c : CHANNELS;
                if (channels < CHANNELS || taps.rows == 0u) {
                    any(sums, from, block, block + first, &taps, channels);
                    hb_fpu_clamped(output, sums, channels, &op.range);
                } else {
                    eight(sums, from, block, block + first, &taps);
                    hb_fpu_store_4(output, sums, &op.range, clamp);
                    hb_fpu_store_4(output + 4, sums + 4, &op.range, clamp);
                }
                output += channels;
            }
        }
    }
}

const struct hb_kernel hb_fpu_depthwise_f32 = {
    HB_PLAN_DEPTHWISE_F32_FPU, sizeof(struct hb_plan_depthwise_f32_fpu), check, run};

#endif
