/* AVERAGE_POOL_2D and MAX_POOL_2D, int8: the padding does not count. */
#include "requantise.h"
#include "window.h"

/* The part of one window that lies on the input, one channel. */
struct patch {
    const int8_t *values;
    int32_t rows;
    int32_t columns;
    int32_t step;     /* to the next column */
    int32_t row_step; /* to the next row */
};

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_average_pool_s8 op; /* max_pool_s8 has the same fields */
    hb_const_copy(&op, record, sizeof op);
    if (!hb_pool_ok(&op.window)) {
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

/* Mean, rounded to nearest, ties away from zero. */
static int32_t average(const struct patch *p) {
    int32_t sum = 0;
    const int8_t *row = p->values;
    for (int32_t y = p->rows; y > 0; y--, row += p->row_step) {
        const int8_t *value = row;
        for (int32_t x = p->columns; x > 0; x--, value += p->step) {
            sum += *value;
        }
    }
    const int32_t count = p->rows * p->columns;
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

static int32_t largest(const struct patch *p) {
    int32_t result = INT8_MIN;
    const int8_t *row = p->values;
    for (int32_t y = p->rows; y > 0; y--, row += p->row_step) {
        const int8_t *value = row;
        for (int32_t x = p->columns; x > 0; x--, value += p->step) {
            result = *value > result ? *value : result;
        }
    }
    return result;
}

static inline void pool(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory,
                        int32_t (*reduce)(const struct patch *)) {
    struct hb_plan_average_pool_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    struct patch patch;
    patch.step = w->in_c;
    patch.row_step = w->in_w * w->in_c;
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps rows = hb_taps_inside(y, w->kernel_h, 1, w->in_h);
        patch.rows = rows.end - rows.begin;
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps columns = hb_taps_inside(x, w->kernel_w, 1, w->in_w);
            patch.columns = columns.end - columns.begin;
            patch.values = input + (size_t)(y + rows.begin) * w->in_w * w->in_c +
                           (size_t)(x + columns.begin) * w->in_c;
            for (int32_t c = 0; c < w->out_c; c++, patch.values++) {
                *output++ =
                    (int8_t)hb_clamp(reduce(&patch), op.quantised.minimum, op.quantised.maximum);
            }
        }
    }
}

static void run_average(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    pool(record, memory, average);
}

static void run_max(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    pool(record, memory, largest);
}

const struct hb_kernel hb_portable_average_pool_s8 = {
    HB_PLAN_AVERAGE_POOL_S8, sizeof(struct hb_plan_average_pool_s8), check, run_average};
const struct hb_kernel hb_portable_max_pool_s8 = {
    HB_PLAN_MAX_POOL_S8, sizeof(struct hb_plan_max_pool_s8), check, run_max};
