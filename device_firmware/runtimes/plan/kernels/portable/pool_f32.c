/* AVERAGE_POOL_2D and MAX_POOL_2D, float32: the padding does not count. */
#include "float.h"
#include "window.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_average_pool_f32 op; /* max_pool_f32 has the same fields */
    hb_const_copy(&op, record, sizeof op);
    if (!hb_pool_ok(&op.window)) {
        return HB_PLAN_FAULT_SHAPE;
    }
    return hb_tensors_ok(memory, &op.head, hb_window_in(&op.window), 4u, hb_window_out(&op.window),
                         4u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_TENSOR;
}

/* One channel of the window's part that lies on the input. */
static float reduce(const struct hb_plan_window *w, const float *input, struct hb_taps rows,
                    struct hb_taps columns, int32_t y, int32_t x, bool average) {
    float result = 0.0f;
    bool first = true;
    for (int32_t ky = rows.begin; ky < rows.end; ky++) {
        for (int32_t kx = columns.begin; kx < columns.end; kx++) {
            const size_t at = ((size_t)(y + ky) * w->in_w + (size_t)(x + kx)) * w->in_c;
            const float value = input[at];
            if (average) {
                result += value;
            } else if (first || value > result) {
                result = value;
            }
            first = false;
        }
    }
    const int32_t count = (rows.end - rows.begin) * (columns.end - columns.begin);
    return average ? result / (float)count : result;
}

static inline void pool(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory,
                        bool average) {
    struct hb_plan_average_pool_f32 op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps rows = hb_taps_inside(y, w->kernel_h, 1, w->in_h);
        int32_t x = -w->pad_left;
        for (int32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps columns = hb_taps_inside(x, w->kernel_w, 1, w->in_w);
            for (int32_t c = 0; c < w->out_c; c++) {
                const float value = reduce(w, input + c, rows, columns, y, x, average);
                *output++ = hb_clamp_f32(value, &op.range);
            }
        }
    }
}

static void run_average(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    pool(record, memory, true);
}

static void run_max(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    pool(record, memory, false);
}

const struct hb_kernel hb_portable_average_pool_f32 = {
    HB_PLAN_AVERAGE_POOL_F32, sizeof(struct hb_plan_average_pool_f32), check, run_average};
const struct hb_kernel hb_portable_max_pool_f32 = {
    HB_PLAN_MAX_POOL_F32, sizeof(struct hb_plan_max_pool_f32), check, run_max};
