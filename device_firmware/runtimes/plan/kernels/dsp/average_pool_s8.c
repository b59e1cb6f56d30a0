/* AVERAGE_POOL_2D, int8: four channels at a time, summed in 16 bits. The padding does not count. */
#include "dsp.h"

#ifdef HB_WITH_DSP

#define CHANNELS     4u
#define MAX_ELEMENTS 255u /* times -128 fits 16 bits */

HB_COLD static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                        const struct hb_kernel_memory *memory) {
    struct hb_plan_average_pool_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const enum hb_plan_fault fault = hb_dsp_check(w, &op.quantised);
    if (fault != HB_PLAN_FAULT_NONE) {
        return fault;
    }
    if (w->in_c != w->out_c || w->dilation_h != 1u || w->dilation_w != 1u ||
        w->in_c % CHANNELS != 0u || (uint32_t)w->kernel_h * w->kernel_w > MAX_ELEMENTS) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return HB_PLAN_FAULT_NONE;
}

/* Rounded to nearest, ties away from zero. */
HB_NO_INLINE int8_t mean(int32_t sum, int32_t count) {
    return (int8_t)((sum > 0 ? sum + count / 2 : sum - count / 2) / count);
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_average_pool_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const size_t step = w->in_c, row_step = step * w->in_w;
    int32_t y = -w->pad_top;
    for (uint32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps rows = hb_taps_inside(y, w->kernel_h, 1, w->in_h);
        int32_t x = -w->pad_left;
        for (uint32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps columns = hb_taps_inside(x, w->kernel_w, 1, w->in_w);
            const int8_t *first =
                input + (size_t)(y + rows.begin) * row_step + (size_t)(x + columns.begin) * step;
            const int32_t count = (rows.end - rows.begin) * (columns.end - columns.begin);
            for (uint32_t c = 0; c < w->out_c; c += CHANNELS, first += CHANNELS) {
                uint32_t even = 0, odd = 0;
                const int8_t *row = first;
                for (int32_t i = rows.begin; i < rows.end; i++, row += row_step) {
                    const int8_t *value = row;
                    for (int32_t k = columns.end - columns.begin; k > 0; k--, value += step) {
                        const uint32_t bytes = hb_dsp_load(value);
                        even = hb_dsp_even_plus(even, bytes);
                        odd = hb_dsp_odd_plus(odd, bytes);
                    }
                }
                *output++ = mean((int16_t)(uint16_t)even, count);
                *output++ = mean((int16_t)(uint16_t)odd, count);
                *output++ = mean((int32_t)even >> 16, count);
                *output++ = mean((int32_t)odd >> 16, count);
            }
        }
    }
    hb_dsp_clamp((int8_t *)(memory->arena + op.head.output), hb_window_out(w), &op.quantised);
}

const struct hb_kernel hb_dsp_average_pool_s8 = {
    HB_PLAN_AVERAGE_POOL_S8_DSP, sizeof(struct hb_plan_average_pool_s8_dsp), check, run};

#endif
