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
        "and r9, r9, #7\n"
        "movs r0, #68\n"
        "mul r9, r9, r0\n"
        "adr r0, 2f\n"
        "add r9, r9, r0\n"
        "orr r9, r9, #1\n"
        "adds r7, r7, #7\n"
        "lsrs r7, r7, #3\n"
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
        ".rept 8\n" /* 17 instructions of 4 bytes */
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

static uint64_t line_groups(const struct hb_plan_window *w) {
    return ((uint64_t)w->kernel_w * w->in_c + 3u) / 4u;
}

HB_COLD static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                        const struct hb_kernel_memory *memory) {
    struct hb_plan_conv_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const enum hb_plan_fault fault = hb_dsp_check(w, &op.quantised);
    if (fault != HB_PLAN_FAULT_NONE) {
        return fault;
    }
    if (w->out_c < 2u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    const uint64_t groups = line_groups(w) * w->kernel_h;
    const uint32_t filters = ((uint32_t)w->out_c + 1u) / 2u;
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, groups * PIXELS * 2u + line_groups(w), 4u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    /* The scratch that fits bounds the groups, so this product fits 64 bits. */
    if (!hb_constant_ok(memory, op.filters, filters * FILTER_BYTES(groups), 1u)) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const uint8_t *scales = memory->constants + op.filters + 8u + 8u * groups;
    for (uint32_t i = 0; i < 2u; i++) {
        if (!hb_dsp_scales_ok(scales + i * sizeof(struct hb_dsp_scale), filters,
                              FILTER_BYTES(groups))) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

/* Four values of each of three pixels: {0, 2} of each, then {1, 3} of each. */
HB_NO_INLINE uint32_t *widen_three(uint32_t *to, const int8_t *from, uint32_t second,
                                   uint32_t third, uint32_t groups) {
    const int8_t *from_2 = from + second, *from_3 = from + third;
#ifdef HB_DSP_ASM
    __asm volatile(
        "1:\n"
        "ldr r4, [%[a]], #4\n ldr r5, [%[b]], #4\n ldr r6, [%[c]], #4\n"
        "sxtb16 r8, r4\n sxtb16 r9, r5\n sxtb16 r10, r6\n"
        "stm %[to]!, {r8-r10}\n"
        "sxtb16 r4, r4, ror #8\n sxtb16 r5, r5, ror #8\n sxtb16 r6, r6, ror #8\n"
        "stm %[to]!, {r4-r6}\n"
        "subs %[n], %[n], #1\n"
        "bne 1b\n"
        : [to] "+r"(to), [a] "+r"(from), [b] "+r"(from_2), [c] "+r"(from_3), [n] "+r"(groups)
        :
        : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
#else
    for (; groups > 0u; groups--, from += 4, from_2 += 4, from_3 += 4) {
        const uint32_t words[PIXELS] = {hb_dsp_load(from), hb_dsp_load(from_2),
                                        hb_dsp_load(from_3)};
        for (int p = 0; p < PIXELS; p++, to++) {
            to[0] = hb_dsp_even(words[p]);
            to[PIXELS] = hb_dsp_odd(words[p]);
        }
        to += PIXELS;
    }
#endif
    return to;
}

/* The same of one pixel, as every third word. */
HB_NO_INLINE uint32_t *widen(uint32_t *to, const int8_t *from, uint32_t groups) {
#ifdef HB_DSP_ASM
#define WIDEN(word, at)                                                                            \
    "sxtb16 r12, " #word "\n sxtb16 " #word ", " #word ", ror #8\n"                                \
    "str r12, [%[to], #" #at "]\n str " #word ", [%[to], #" #at " + 12]\n"
    for (; groups >= 4u; groups -= 4u) {
        __asm volatile("ldr r4, [%[from]], #4\n ldr r5, [%[from]], #4\n"
                       "ldr r6, [%[from]], #4\n ldr r8, [%[from]], #4\n" WIDEN(r4, 0) WIDEN(r5, 24)
                           WIDEN(r6, 48) WIDEN(r8, 72) "adds %[to], %[to], #96\n"
                       : [to] "+r"(to), [from] "+r"(from)
                       :
                       : "r4", "r5", "r6", "r8", "r12", "cc", "memory");
    }
#endif
    for (; groups > 0u; groups--, from += 4, to += 2 * PIXELS) {
        const uint32_t bytes = hb_dsp_load(from);
        to[0] = hb_dsp_even(bytes);
        to[PIXELS] = hb_dsp_odd(bytes);
    }
    return to;
}

static int8_t *copy_bytes(int8_t *to, const int8_t *from, uint32_t count) {
    for (; count >= 4u; count -= 4u, to += 4, from += 4) {
        memcpy(to, from, 4);
    }
    for (; count > 0u; count--) {
        *to++ = *from++;
    }
    return to;
}

static int8_t *pad_bytes(int8_t *to, int8_t value, uint32_t count) {
    for (; count > 0u; count--) {
        *to++ = value;
    }
    return to;
}

/* Offsets wrap: one that lies in the padding is never used. */
struct gather {
    const struct hb_plan_window *w;
    const int8_t *input;
    int8_t *bytes;   /* of one line of a window, where the input does not have it in one piece */
    int32_t y_whole; /* windows from 0 to here */
    int32_t x_whole; /* and here do not reach over the border; -1: none, taps are no neighbours */
    int32_t line_whole; /* lines up to here may be read in whole groups */
    int32_t whole;      /* the same of windows */
    uint32_t line_step; /* from a line of a window to the next one */
    uint32_t groups;    /* of a line of a window */
    bool flat;          /* windows are pixels, one behind the other */
    int8_t zero_point;
};

/* Where a window begins. */
struct origin {
    int32_t y, x;
    uint32_t at; /* in bytes of the input */
};

static struct gather gather_of(const struct hb_plan_conv_s8_dsp *op, const int8_t *input,
                               int8_t *bytes) {
    const struct hb_plan_window *w = &op->window;
    struct gather g;
    g.w = w;
    g.input = input;
    g.bytes = bytes;
    g.y_whole = w->in_h - 1 - (w->kernel_h - 1) * w->dilation_h;
    g.x_whole = w->dilation_w == 1u ? w->in_w - w->kernel_w : -1;
    g.groups = (uint32_t)line_groups(w);
    g.line_step = (uint32_t)w->dilation_h * w->in_w * w->in_c;
    g.line_whole = (int32_t)hb_window_in(w) - (int32_t)(4u * g.groups);
    g.whole = (int32_t)((uint32_t)g.line_whole - (w->kernel_h - 1u) * g.line_step);
    g.flat = w->kernel_h == 1u && w->kernel_w == 1u && w->stride_h == 1u && w->stride_w == 1u &&
             w->out_h == w->in_h && w->out_w == w->in_w && w->in_c % 4u == 0u;
    g.zero_point = (int8_t)op->quantised.input_zero_point;
    return g;
}

HB_INLINE bool is_whole(const struct gather *g, const struct origin *o) {
    return o->y >= 0 && o->y <= g->y_whole && o->x >= 0 && o->x <= g->x_whole &&
           (int32_t)o->at <= g->whole;
}

static struct origin origin_at(const struct hb_plan_window *w, int32_t y) {
    const struct origin o = {y, -w->pad_left,
                             ((uint32_t)y * w->in_w - (uint32_t)w->pad_left) * w->in_c};
    return o;
}

static void to_next(const struct hb_plan_window *w, struct origin *o) {
    o->x += w->stride_w;
    o->at += (uint32_t)w->stride_w * w->in_c;
    if (o->x + w->pad_left == w->out_w * w->stride_w) {
        *o = origin_at(w, o->y + w->stride_h);
    }
}

HB_NO_INLINE uint32_t *pad_words(uint32_t *to, int8_t value, uint32_t groups) {
    const uint32_t halves = (uint16_t)value * 0x10001u;
    for (; groups > 0u; groups--, to += 2 * PIXELS) {
        to[0] = halves;
        to[PIXELS] = halves;
    }
    return to;
}

/* The bytes of a line that the input does not have in one piece. */
static const int8_t *gather_line(const struct gather *g, struct hb_taps taps, uint32_t at) {
    const struct hb_plan_window *w = g->w;
    uint32_t count = (uint32_t)(taps.end - taps.begin), run = w->in_c;
    const uint32_t step = (uint32_t)w->dilation_w * w->in_c;
    int8_t *bytes = pad_bytes(g->bytes, g->zero_point, (uint32_t)taps.begin * w->in_c);
    at += (uint32_t)taps.begin * step;
    if (w->dilation_w == 1u) {
        run *= count;
        count = count > 0u ? 1u : 0u;
    }
    for (; count > 0u; count--, at += step) {
        bytes = copy_bytes(bytes, g->input + at, run);
    }
    pad_bytes(bytes, g->zero_point, (uint32_t)(w->kernel_w - taps.end) * w->in_c);
    return g->bytes;
}

static void gather_pixel(const struct gather *g, const struct origin *o, uint32_t *to) {
    const struct hb_plan_window *w = g->w;
    const struct hb_taps taps = hb_taps_inside(o->x, w->kernel_w, w->dilation_w, w->in_w);
    const bool by_words = w->in_c % 4u == 0u && w->dilation_w == 1u && taps.end > taps.begin;
    const bool neighbours = o->x >= 0 && o->x <= g->x_whole;
    const uint32_t tap = w->in_c / 4u, begin = (uint32_t)taps.begin, end = (uint32_t)taps.end;
    uint32_t at = o->at;
    int32_t y = o->y;
    for (uint32_t i = w->kernel_h; i > 0u; i--, y += w->dilation_h, at += g->line_step) {
        if (y < 0 || y >= w->in_h) {
            to = pad_words(to, g->zero_point, g->groups);
        } else if (by_words) {
            to = pad_words(to, g->zero_point, begin * tap);
            to = widen(to, g->input + (uint32_t)(at + begin * w->in_c), (end - begin) * tap);
            to = pad_words(to, g->zero_point, (w->kernel_w - end) * tap);
        } else if (neighbours && (int32_t)at <= g->line_whole) {
            to = widen(to, g->input + at, g->groups);
        } else {
            to = widen(to, gather_line(g, taps, at), g->groups);
        }
    }
}

/* The windows of the next three pixels; beyond the last pixel, its window again. */
static void gather_tile(const struct gather *g, struct origin *next, uint32_t pixels,
                        uint32_t *to) {
    const struct hb_plan_window *w = g->w;
    if (g->flat) {
        const uint32_t second = pixels > 1u ? w->in_c : 0u;
        widen_three(to, g->input + next->at, second, pixels > 2u ? 2u * second : second, g->groups);
        next->at += PIXELS * w->in_c;
        return;
    }
    struct origin origins[PIXELS];
    bool whole = true;
    for (uint32_t p = 0; p < PIXELS; p++) {
        origins[p] = *next;
        whole = whole && is_whole(g, next);
        if (p + 1u < pixels || p + 1u == PIXELS) {
            to_next(w, next);
        }
    }
    if (whole) {
        const int8_t *from = g->input + origins[0].at;
        const uint32_t second = origins[1].at - origins[0].at;
        const uint32_t third = origins[2].at - origins[0].at;
        for (uint32_t i = w->kernel_h; i > 0u; i--, from += g->line_step) {
            to = widen_three(to, from, second, third, g->groups);
        }
        return;
    }
    for (uint32_t p = 0; p < PIXELS; p++) {
        gather_pixel(g, &origins[p], to + p);
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
    t.groups = (uint32_t)line_groups(w) * w->kernel_h;
    t.linear = op.linear;
    const uint8_t *filters = memory->constants + op.filters;
    const uint8_t *pairs_end = filters + (size_t)(w->out_c / 2u) * FILTER_BYTES(t.groups);
    const struct gather g = gather_of(&op, (const int8_t *)(memory->arena + op.head.input),
                                      (int8_t *)(values + 2u * PIXELS * t.groups));
    struct origin next = origin_at(w, -w->pad_top);
    for (uint32_t left = (uint32_t)w->out_h * w->out_w; left > 0u;) {
        const uint32_t pixels = left < PIXELS ? left : PIXELS;
        gather_tile(&g, &next, pixels, values);
        for (uint32_t p = 0; p < PIXELS; p++) {
            t.outputs[p] = output;
            output += p + 1u < pixels ? w->out_c : 0u;
        }
        output += w->out_c;
        left -= pixels;
        t.filters = filters;
        t.filters_end = pairs_end;
        run_tile(&t);
        if (w->out_c % 2u != 0u) { /* the last filter begins one channel earlier */
            for (uint32_t p = 0; p < PIXELS; p++) {
                t.outputs[p] += w->out_c - 2u;
            }
            t.filters = pairs_end;
            t.filters_end = pairs_end + FILTER_BYTES(t.groups);
            run_tile(&t);
        }
    }
    hb_dsp_clamp((int8_t *)(memory->arena + op.head.output), hb_window_out(w), &op.quantised);
}

const struct hb_kernel hb_dsp_conv_s8 = {HB_PLAN_CONV_S8_DSP, sizeof(struct hb_plan_conv_s8_dsp),
                                         check, run};

#endif
