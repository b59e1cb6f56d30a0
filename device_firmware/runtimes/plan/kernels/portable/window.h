/* Geometry that convolutions and pools share. */
#ifndef HB_PORTABLE_WINDOW_H
#define HB_PORTABLE_WINDOW_H

#include "../hb_kernel.h"

/* Elements of one pool window at most: 2^23 * 255 still fits an int32 sum. */
#define HB_WINDOW_MAX_ELEMENTS (1u << 23)

static inline bool hb_axis_ok(uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride,
                              uint32_t dilation, uint32_t pad) {
    if (in == 0u || out == 0u || kernel == 0u || stride == 0u || dilation == 0u ||
        (kernel == 1u && dilation != 1u)) {
        return false;
    }
    /* The kernel's reach fits 16 bits, and the first and the last window touch the input: so window
     * origins fit an int32 and no pool window is empty. 65535 * 65535 fits uint32. */
    uint32_t reach = (kernel - 1u) * dilation;
    uint32_t last = (out - 1u) * stride;
    return reach <= UINT16_MAX && pad <= reach && last < in + pad;
}

static inline bool hb_window_ok(const struct hb_plan_window *w) {
    return w->in_c != 0u && w->out_c != 0u &&
           hb_axis_ok(w->in_h, w->out_h, w->kernel_h, w->stride_h, w->dilation_h, w->pad_top) &&
           hb_axis_ok(w->in_w, w->out_w, w->kernel_w, w->stride_w, w->dilation_w, w->pad_left);
}

static inline bool hb_pool_ok(const struct hb_plan_window *w) {
    return hb_window_ok(w) && w->in_c == w->out_c && w->dilation_h == 1u && w->dilation_w == 1u &&
           (uint32_t)w->kernel_h * w->kernel_w <= HB_WINDOW_MAX_ELEMENTS;
}

static inline uint64_t hb_window_in(const struct hb_plan_window *w) {
    return (uint64_t)w->in_h * w->in_w * w->in_c;
}

static inline uint64_t hb_window_out(const struct hb_plan_window *w) {
    return (uint64_t)w->out_h * w->out_w * w->out_c;
}

/* Taps [begin, end) of a window axis that lie on the input. */
struct hb_taps {
    int32_t begin;
    int32_t end;
};

static inline struct hb_taps hb_taps_inside(int32_t origin, int32_t kernel, int32_t dilation,
                                            int32_t in) {
    struct hb_taps taps = {0, kernel};
    if (origin < 0) {
        taps.begin = dilation == 1 ? -origin : (dilation - 1 - origin) / dilation;
    }
    if (origin + (kernel - 1) * dilation >= in) {
        const int32_t room = in - origin; /* at least 1: windows begin before the end */
        taps.end = dilation == 1 ? room : (room + dilation - 1) / dilation;
    }
    if (taps.begin > taps.end) { /* a dilated kernel may step over the input */
        taps.begin = taps.end;
    }
    return taps;
}

#endif
