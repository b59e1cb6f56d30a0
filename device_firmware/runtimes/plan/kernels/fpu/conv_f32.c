/* CONV_2D and FULLY_CONNECTED (pixels are rows), float32: tiles of four channels by four pixels.
 *
 * Windows of a tile that lie on the input, in one row of the output, are read where they are. Those
 * of other tiles are gathered in scratch as [pixel][kernel_h][kernel_w][in_c], zeros for the
 * padding. filters: tile.h, the last one padded with zeros. */
#include "tile.h"

#ifdef HB_WITH_FPU

/* Is there a tile whose windows are gathered? */
static bool gathers(const struct hb_plan_window *w) {
    const uint32_t reach_y = (w->kernel_h - 1u) * w->dilation_h;
    const uint32_t reach_x = (w->kernel_w - 1u) * w->dilation_w;
    return w->pad_top != 0u || w->pad_left != 0u || w->dilation_w != 1u ||
           (w->out_h - 1u) * w->stride_h + reach_y >= w->in_h ||
           (w->out_w - 1u) * w->stride_w + reach_x >= w->in_w ||
           (w->out_h != 1u && w->out_w % HB_FPU_PIXELS != 0u);
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_f32_fpu op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w)) {
        return HB_PLAN_FAULT_SHAPE;
    }
    const uint64_t filter = (uint64_t)w->kernel_h * w->kernel_w * w->in_c;
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 4u, hb_window_out(w), 4u) ||
        (gathers(w) && !hb_tensor_ok(memory, op.scratch, HB_FPU_PIXELS * filter, 4u))) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint64_t blocks = (w->out_c + HB_FPU_CHANNELS - 1u) / HB_FPU_CHANNELS;
    return hb_constant_ok(memory, op.filters, blocks * (filter + 1u), 4u * HB_FPU_CHANNELS)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_CONSTANT;
}

static float *copy(float *to, const float *from, uint32_t count) {
    for (; count >= 4u; count -= 4u, from += 4, to += 4) {
        const float a = from[0], b = from[1], c = from[2], d = from[3];
        to[0] = a;
        to[1] = b;
        to[2] = c;
        to[3] = d;
    }
    for (; count > 0u; count--) {
        *to++ = *from++;
    }
    return to;
}

static float *zeros(float *to, int32_t count) {
    for (; count > 0; count--) {
        *to++ = 0.0f;
    }
    return to;
}

/* One window, its padding as zeros; returns the end. */
static float *gather(const struct hb_plan_window *w, const float *input, float *to, int32_t y,
                     int32_t x) {
    const struct hb_taps taps = hb_taps_inside(x, w->kernel_w, w->dilation_w, w->in_w);
    for (uint32_t ky = 0; ky < w->kernel_h; ky++, y += w->dilation_h) {
        if (y < 0 || y >= w->in_h || taps.begin == taps.end) {
            to = zeros(to, w->kernel_w * w->in_c);
            continue;
        }
        to = zeros(to, taps.begin * w->in_c);
        const float *from =
            input + ((size_t)y * w->in_w + (size_t)(x + taps.begin * w->dilation_w)) * w->in_c;
        if (w->dilation_w == 1u) {
            to = copy(to, from, (uint32_t)(taps.end - taps.begin) * w->in_c);
        } else {
            for (int32_t kx = taps.begin; kx < taps.end; kx++) {
                to = copy(to, from, w->in_c);
                from += (uint32_t)w->dilation_w * w->in_c;
            }
        }
        to = zeros(to, (w->kernel_w - taps.end) * w->in_c);
    }
    return to;
}

/* Windows of the tile that begins at an output pixel; true where they are read in place. Pixels
 * that are not there repeat the first one. */
static bool find(const struct hb_plan_window *w, const float *input, float *scratch,
                 const float *windows[HB_FPU_PIXELS], uint32_t count, int32_t out_y,
                 int32_t out_x) {
    const int32_t y = out_y * w->stride_h - w->pad_top;
    const int32_t x = out_x * w->stride_w - w->pad_left;
    const int32_t last_x = x + ((int32_t)count - 1) * w->stride_w;
    const bool inside = w->dilation_w == 1u && out_x + (int32_t)count <= w->out_w && y >= 0 &&
                        x >= 0 && y + (w->kernel_h - 1) * w->dilation_h < w->in_h &&
                        last_x + w->kernel_w <= w->in_w;
    for (uint32_t p = 0; p < HB_FPU_PIXELS; p++) {
        if (p >= count) {
            windows[p] = windows[0];
        } else if (inside) {
            const size_t at = (size_t)y * w->in_w + (size_t)(x + (int32_t)p * w->stride_w);
            windows[p] = input + at * w->in_c;
        } else {
            windows[p] = scratch;
            scratch = gather(w, input, scratch, out_y * w->stride_h - w->pad_top,
                             out_x * w->stride_w - w->pad_left);
            if (++out_x == w->out_w) {
                out_x = 0;
                out_y++;
            }
        }
    }
    return inside;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_f32_fpu op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const float *input = hb_tensor_f32(memory, op.head.input);
    float *output = hb_tensor_f32(memory, op.head.output);
    const float *filters = hb_constant_f32(memory, op.filters);
    const enum hb_fpu_clamp clamp = hb_fpu_clamp_of(&op.range);
    const uint32_t row = (uint32_t)w->kernel_w * w->in_c;
    const uint32_t filter = w->kernel_h * row;
    const uint32_t next_row = (uint32_t)w->dilation_h * w->in_w * w->in_c;
    const struct hb_fpu_span in_place = {w->kernel_h, row, (next_row - row) * 4u};
    const struct hb_fpu_span gathered = {1u, filter, 0u};
    int32_t out_y = 0, out_x = 0;
    uint32_t count;
    for (uint32_t left = (uint32_t)w->out_h * w->out_w; left > 0u; left -= count) {
        const float *windows[HB_FPU_PIXELS];
        count = left < HB_FPU_PIXELS ? left : HB_FPU_PIXELS;
        float *scratch = gathers(w) ? hb_tensor_f32(memory, op.scratch) : NULL;
        const struct hb_fpu_span *span =
            find(w, input, scratch, windows, count, out_y, out_x) ? &in_place : &gathered;
        const float *block = filters;
        for (uint32_t c = 0; c < w->out_c; c += HB_FPU_CHANNELS) {
            float sums[HB_FPU_PIXELS * HB_FPU_CHANNELS];
            if (count == 1u) {
                hb_fpu_pixel(sums, windows[0], block, span);
            } else {
                hb_fpu_tile(sums, windows, block, span);
            }
            block += (filter + 1u) * HB_FPU_CHANNELS;
            float *to = output + c;
            const float *from = sums;
            for (uint32_t p = count; p > 0u; p--, to += w->out_c, from += HB_FPU_CHANNELS) {
                if (w->out_c - c >= HB_FPU_CHANNELS) {
                    hb_fpu_store_4(to, from, &op.range, clamp);
                } else {
                    hb_fpu_clamped(to, from, w->out_c - c, &op.range);
                }
            }
        }
        output += count * w->out_c;
        for (out_x += (int32_t)count; out_x >= w->out_w; out_x -= w->out_w) {
            out_y++;
        }
    }
}

const struct hb_kernel hb_fpu_conv_f32 = {HB_PLAN_CONV_F32_FPU, sizeof(struct hb_plan_conv_f32_fpu),
                                          check, run};

#endif
