/* AVERAGE_POOL_2D, int8, a multiple of 4 channels: the padding does not count. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "mve.h"

#define GROUP 4 /* channels */

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_average_pool_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    if (!hb_pool_ok(&op.window) || op.window.in_c % GROUP != 0) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(&op.window), 1u, hb_window_out(&op.window),
                       1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return HB_PLAN_FAULT_NONE;
}

static int32x4_t sum_of(const int8_t *row, int32_t rows, int32_t columns, int32_t step,
                        int32_t row_step) {
    int32x4_t sum = vdupq_n_s32(0);
    for (; rows > 0; rows--, row += row_step) {
        const int8_t *value = row;
        for (int32_t x = columns; x > 0; x--, value += step) {
            sum = vaddq_s32(sum, vldrbq_s32(value));
        }
    }
    return sum;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_average_pool_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const struct hb_plan_quantised *q = &op.quantised;
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const int32_t channels = w->in_c;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps rows = hb_taps_inside(y, w->kernel_h, 1, w->in_h);
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps columns = hb_taps_inside(x, w->kernel_w, 1, w->in_w);
            const int32_t width = columns.end - columns.begin;
            const int32_t count = (rows.end - rows.begin) * width;
            const int8_t *values =
                input + ((y + rows.begin) * w->in_w + x + columns.begin) * channels;
            for (int32_t c = 0; c < channels; c += GROUP) {
                int32_t sums[GROUP];
                vstrwq_s32(sums, sum_of(values + c, rows.end - rows.begin, width, channels,
                                        w->in_w * channels));
                for (int32_t i = 0; i < GROUP; i++) {
                    const int32_t half = sums[i] > 0 ? count / 2 : -(count / 2);
                    *output++ = (int8_t)hb_clamp((sums[i] + half) / count, q->minimum, q->maximum);
                }
            }
        }
    }
}

const struct hb_kernel hb_mve_average_pool_s8 = {
    HB_PLAN_AVERAGE_POOL_S8_MVE, sizeof(struct hb_plan_average_pool_s8_mve), check, run};

#endif
