/* CONV_2D, int8: three pixels and two output channels at a time.
 *
 * The windows of three pixels are widened to int16 into scratch, one word of each in turn, padding
 * as the input's zero point. A word of weights holds two taps of two channels c and d as the halves
 * 256 * d + c. Multiplied as it is it sums 256 * d + c; its low bytes, sign-extended, sum c; and
 * the difference is d times 2^8, as requantisation wants it. So 8 multiplications need one word of
 * weights and one instruction to unpack it.
 *
 * `filters` has, for every two output channels, the two starting sums, the weights, and two
 * hb_dsp_scale. Odd channels: the last two filters overlap. */
#include "dsp.h"

#ifdef HB_WITH_DSP

#define PIXELS 3

struct tile {
    int8_t *outputs[PIXELS];
    const uint8_t *filters;
    const uint8_t *filters_end;
    const uint32_t *values; /* [groups][2][PIXELS] */
    uint32_t groups;        /* of four taps */
    uint32_t linear;
};

#define FILTER_BYTES(groups) (8u + 8u * (groups) + 24u)

#ifdef HB_DSP_ASM

/* clang-format off */

#define MAC3(w, x0, y0, y1, y2)                                                                    \
    "smlad " #y0 ", r0, " #w ", " #y0 "\n smlad " #y1 ", r1, " #w ", " #y1 "\n"                    \
    "smlad " #y2 ", r2, " #w ", " #y2 "\n"

/* On the stack: outputs 0..8, filters_end 12, values 16, rounds 20, linear 24, entry 28.
 * r4-r6: sums of channel c; r7-r9: of both; r10: filters; r11: values. */
__attribute__((naked)) static void run_tile(const struct tile *t) {
    (void)t;
    __asm volatile(
        "push {r4-r11, lr}\n"
        "ldm r0, {r1-r8}\n"
        "mov r10, r4\n"
        "rsb r9, r7, #0\n" /* the first round may be a partial one */
        "and r9, r9, #3\n"
        "movs r0, #68\n"
        "mul r9, r9, r0\n"
        "adr r0, 2f\n"
        "add r9, r9, r0\n"
        "orr r9, r9, #1\n"
        "adds r7, r7, #3\n"
        "lsrs r7, r7, #2\n"
        "sub sp, sp, #32\n"
        "stm sp, {r1-r3, r5-r9}\n"
        "1:\n"
        "ldrd r4, r7, [r10], #8\n"
        "ldr r11, [sp, #16]\n"
        "ldr lr, [sp, #20]\n"
        "mov r5, r4\n mov r6, r4\n mov r8, r7\n mov r9, r7\n"
        "ldr pc, [sp, #28]\n"
        ".p2align 2\n"
        "2:\n"
        ".rept 4\n" /* 17 instructions of 4 bytes */
        "ldrd r3, r12, [r10], #8\n"
        "ldm r11!, {r0-r2}\n"
        MAC3(r3, r0, r7, r8, r9)
        "sxtb16 r3, r3\n"
        MAC3(r3, r0, r4, r5, r6)
        "ldm r11!, {r0-r2}\n"
        MAC3(r12, r0, r7, r8, r9)
        "sxtb16 r12, r12\n"
        MAC3(r12, r0, r4, r5, r6)
        ".endr\n"
        "subs lr, lr, #1\n"
        "bne 2b\n"
        "ldr r0, [sp, #24]\n"
        "subs r7, r7, r4\n subs r8, r8, r5\n subs r9, r9, r6\n"
        "ldm r10!, {r3, r12, lr}\n"
        "lsls r4, r4, #8\n lsls r5, r5, #8\n lsls r6, r6, #8\n"
        "cbz r0, 3f\n"
        "asrs r0, r4, #31\n asrs r1, r5, #31\n asrs r2, r6, #31\n"
        "smmla r4, r4, r3, r12\n smmla r5, r5, r3, r12\n smmla r6, r6, r3, r12\n"
        "add r4, r4, r0, lsl #7\n add r5, r5, r1, lsl #7\n add r6, r6, r2, lsl #7\n"
        "asr r4, r4, lr\n asr r5, r5, lr\n asr r6, r6, lr\n"
        "ldm r10!, {r3, r12, lr}\n"
        "asrs r0, r7, #31\n asr r1, r8, #31\n asr r2, r9, #31\n"
        "smmla r7, r7, r3, r12\n smmla r8, r8, r3, r12\n smmla r9, r9, r3, r12\n"
        "add r7, r7, r0, lsl #7\n add r8, r8, r1, lsl #7\n add r9, r9, r2, lsl #7\n"
        "b 4f\n"
        "3:\n"
        "smmla r4, r4, r3, r12\n smmla r5, r5, r3, r12\n smmla r6, r6, r3, r12\n"
        "asr r4, r4, lr\n asr r5, r5, lr\n asr r6, r6, lr\n"
        "ldm r10!, {r3, r12, lr}\n"
        "smmla r7, r7, r3, r12\n smmla r8, r8, r3, r12\n smmla r9, r9, r3, r12\n"
        "4:\n"
        "asr r7, r7, lr\n asr r8, r8, lr\n asr r9, r9, lr\n"
        "ldm sp, {r0-r2}\n"
        "ssat r4, #8, r4\n ssat r5, #8, r5\n ssat r6, #8, r6\n"
        "ssat r7, #8, r7\n ssat r8, #8, r8\n ssat r9, #8, r9\n"
        "strb r4, [r0], #1\n strb r5, [r1], #1\n strb r6, [r2], #1\n"
        "strb r7, [r0], #1\n strb r8, [r1], #1\n strb r9, [r2], #1\n"
        "ldr r3, [sp, #12]\n"
        "stm sp, {r0-r2}\n"
        "cmp r10, r3\n"
        "bne 1b\n"
        "add sp, sp, #32\n"
        "pop {r4-r11, pc}\n");
}

/* clang-format on */

#else

static void run_tile(const struct tile *t) {
    const uint8_t *filter = t->filters;
    for (uint32_t c = 0; filter != t->filters_end; c += 2u, filter += FILTER_BYTES(t->groups)) {
        const int32_t *start = (const int32_t *)(const void *)filter;
        const uint32_t *weights = (const uint32_t *)(const void *)(filter + 8);
        const struct hb_dsp_scale *scales =
            (const struct hb_dsp_scale *)(const void *)(weights + 2u * t->groups);
        for (uint32_t p = 0; p < PIXELS; p++) {
            int32_t sum = start[0], both = start[1];
            for (uint32_t i = 0; i < 2u * t->groups; i++) {
                both = hb_dsp_mac(t->values[i * PIXELS + p], weights[i], both);
                sum = hb_dsp_mac(t->values[i * PIXELS + p], hb_dsp_even(weights[i]), sum);
            }
            both = (int32_t)((uint32_t)both - (uint32_t)sum);
            t->outputs[p][c] =
                hb_dsp_requantise(hb_dsp_times_256(sum), &scales[0], t->linear != 0u);
            t->outputs[p][c + 1u] = hb_dsp_requantise(both, &scales[1], t->linear != 0u);
        }
    }
}

#endif

static uint64_t window_taps(const struct hb_plan_window *w) {
    return (uint64_t)w->kernel_h * w->kernel_w * w->in_c;
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->out_c < 2u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    const uint64_t groups = (window_taps(w) + 3u) / 4u;
    const uint32_t filters = ((uint32_t)w->out_c + 1u) / 2u;
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, groups, PIXELS * 8u + 4u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    if (!hb_constant_ok(memory, op.filters, filters * FILTER_BYTES(groups), 1u)) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const uint8_t *end = memory->constants + op.filters;
    for (uint32_t i = 0; i < filters; i++) {
        end += FILTER_BYTES((uint32_t)groups);
        const struct hb_dsp_scale *scales = (const struct hb_dsp_scale *)(const void *)(end - 24);
        if (!hb_dsp_scale_ok(&scales[0]) || !hb_dsp_scale_ok(&scales[1])) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

struct gather {
    const struct hb_plan_window *w;
    const int8_t *input;
    int8_t *bytes; /* of one window, where its runs are not whole words */
    int8_t zero_point;
};

static uint32_t *widen(uint32_t *to, const int8_t *from, uint32_t groups) {
    return hb_dsp_widen(to, from, groups, PIXELS, 2 * PIXELS);
}

static uint32_t *pad_words(uint32_t *to, int8_t value, uint32_t groups) {
    const uint32_t halves = (uint16_t)value * 0x10001u;
    for (; groups > 0u; groups--, to += 2 * PIXELS) {
        to[0] = halves;
        to[PIXELS] = halves;
    }
    return to;
}

HB_INLINE int8_t *copy_bytes(int8_t *to, const int8_t *from, int32_t count) {
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        memcpy(to, from, 4);
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
    return to;
}

HB_INLINE int8_t *pad_bytes(int8_t *to, int8_t value, int32_t count) {
    for (; count > 0; count--) {
        *to++ = value;
    }
    return to;
}

/* One row of a window: `before` taps of padding, `inside` taps `step` values apart, `after`. */
struct row {
    const int8_t *from;
    int32_t before, inside, after, step;
};

HB_INLINE struct row row_at(const struct gather *g, int32_t y, int32_t x, struct hb_taps taps) {
    const struct hb_plan_window *w = g->w;
    struct row row = {g->input, w->kernel_w, 0, 0, 0};
    if (y >= 0 && y < w->in_h && taps.end > taps.begin) {
        row.from += ((size_t)y * w->in_w + (size_t)(x + taps.begin * w->dilation_w)) * w->in_c;
        row.before = taps.begin;
        row.inside = taps.end - taps.begin;
        row.after = w->kernel_w - taps.end;
        row.step = w->dilation_w * w->in_c;
    }
    return row;
}

/* The window of one pixel as every third word of `to`. */
static void gather_pixel(const struct gather *g, int32_t y, int32_t x, uint32_t *to) {
    const struct hb_plan_window *w = g->w;
    const int32_t in_c = w->in_c;
    const struct hb_taps taps = hb_taps_inside(x, w->kernel_w, w->dilation_w, w->in_w);
    int8_t *bytes = g->bytes;
    for (int32_t i = 0; i < w->kernel_h; i++, y += w->dilation_h) {
        struct row row = row_at(g, y, x, taps);
        int32_t run = in_c;
        if (w->dilation_w == 1u) { /* neighbouring taps are one run */
            run = row.inside * in_c;
            row.inside = row.inside > 0 ? 1 : 0;
        }
        if (in_c % 4 == 0) {
            to = pad_words(to, g->zero_point, (uint32_t)(row.before * in_c) / 4u);
            for (; row.inside > 0; row.inside--, row.from += row.step) {
                to = widen(to, row.from, (uint32_t)run / 4u);
            }
            to = pad_words(to, g->zero_point, (uint32_t)(row.after * in_c) / 4u);
        } else {
            bytes = pad_bytes(bytes, g->zero_point, row.before * in_c);
            for (; row.inside > 0; row.inside--, row.from += row.step) {
                bytes = copy_bytes(bytes, row.from, run);
            }
            bytes = pad_bytes(bytes, g->zero_point, row.after * in_c);
        }
    }
    if (in_c % 4 != 0) {
        bytes = pad_bytes(bytes, 0, (int32_t)(-(uintptr_t)bytes % 4u));
        widen(to, g->bytes, (uint32_t)(bytes - g->bytes) / 4u);
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    uint32_t *values = (uint32_t *)(void *)(memory->arena + op.scratch);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    struct tile t;
    t.values = values;
    t.groups = ((uint32_t)window_taps(w) + 3u) / 4u;
    t.linear = op.linear;
    const uint8_t *filters = memory->constants + op.filters;
    const uint8_t *pairs_end = filters + (size_t)(w->out_c / 2u) * FILTER_BYTES(t.groups);
    const struct gather g = {w, (const int8_t *)(memory->arena + op.head.input),
                             (int8_t *)(values + 2u * PIXELS * t.groups),
                             (int8_t)op.quantised.input_zero_point};
    const uint32_t pixels = (uint32_t)w->out_h * w->out_w;
    int32_t y = -w->pad_top, x = -w->pad_left;
    uint32_t column = 0;
    for (uint32_t done = 0; done < pixels; done += PIXELS) {
        for (uint32_t p = 0; p < PIXELS; p++) {
            /* The last tile may repeat its last pixel. */
            const bool repeat = done + p >= pixels;
            t.outputs[p] = repeat ? t.outputs[p - 1u] : output + (size_t)(done + p) * w->out_c;
            if (repeat) {
                for (uint32_t i = 0; i < 2u * t.groups; i++) {
                    values[i * PIXELS + p] = values[i * PIXELS + p - 1u];
                }
                continue;
            }
            gather_pixel(&g, y, x, values + p);
            x += w->stride_w;
            if (++column == w->out_w) {
                column = 0;
                x = -w->pad_left;
                y += w->stride_h;
            }
        }
        t.filters = filters;
        t.filters_end = pairs_end;
        run_tile(&t);
        if (w->out_c % 2u != 0u) {
            for (uint32_t p = 0; p < PIXELS; p++) {
                t.outputs[p] += w->out_c - 2u;
            }
            t.filters = pairs_end;
            t.filters_end = pairs_end + FILTER_BYTES(t.groups);
            run_tile(&t);
        }
    }
    hb_dsp_clamp(output, (uint32_t)hb_window_out(w), &op.quantised);
}

const struct hb_kernel hb_dsp_conv_s8 = {HB_PLAN_CONV_S8_DSP, sizeof(struct hb_plan_conv_s8_dsp),
                                         check, run};

#endif
