/* DEPTHWISE_CONV_2D, int8, any window, one output channel per input channel, channels a multiple
 * of 4.
 *
 * Four channels of a pixel at a time, straight from the input: the zero point is subtracted while
 * values are widened, and taps in the padding are left out. */
#include "dsp.h"

#ifdef HB_WITH_DSP

#define CHANNELS 4u

/* Of four channels; behind it are their weights, [taps][CHANNELS]. */
struct filter {
    int32_t bias[CHANNELS];
    struct hb_dsp_scale scale[CHANNELS];
};

/* One pixel: the part of the window that lies on the input. run_pixel() consumes it. */
struct pixel {
    const int8_t *values;  /* 0: the first channel of the first tap */
    const uint8_t *filter; /* 4 */
    int8_t *output;        /* 8 */
    uint32_t rows;         /* 12 */
    uint32_t columns;      /* 16 */
    uint32_t step;         /* 20: bytes to the next column */
    uint32_t value_skip;   /* 24: from where a row's reading ends to the next row */
    uint32_t weight_skip;  /* 28 */
    uint32_t first;        /* 32: bytes from the filter to the first weights */
    uint32_t filter_bytes; /* 36 */
    uint32_t offset;       /* 40: less the zero point, in both halves */
    uint32_t negative;     /* 44: what dsp.h subtracts for sums below 0: 0 or 128 */
    uint32_t blocks;       /* 48: of CHANNELS */
};

/* Rows of this many columns are read from one address. */
#define UNROLLED 3u

#ifdef HB_DSP_ASM

/* clang-format off */

/* r1: weights; r4-r7: sums; r10: offset. */
#define TAP(from)                                                                                  \
    "ldr r2, " from "\n"                                                                           \
    "ldr r3, [r1], #4\n"                                                                           \
    "sxtab16 r8, r10, r2, ror #8\n sxtab16 r2, r10, r2\n"                                          \
    "sxtb16 r9, r3, ror #8\n sxtb16 r3, r3\n"                                                      \
    "smlabb r4, r2, r3, r4\n smlabb r5, r8, r9, r5\n"                                              \
    "smlatt r6, r2, r3, r6\n smlatt r7, r8, r9, r7\n"

#define RESULT(sum)                                                                                \
    "ldm r0!, {r2, r3, r8}\n"                                                                      \
    "lsls " #sum ", " #sum ", #8\n"                                                                \
    "and r9, r10, " #sum ", asr #31\n"                                                             \
    "smmla " #sum ", " #sum ", r2, r3\n"                                                           \
    "sub " #sum ", " #sum ", r9\n"                                                                 \
    "asr " #sum ", " #sum ", r8\n"                                                                 \
    "ssat " #sum ", #8, " #sum "\n"                                                                \
    "strb " #sum ", [r1], #1\n"

/* r0: values; r11: step; r12: the pixel; lr: rows left. */
__attribute__((naked)) static void run_pixel(struct pixel *pixel) {
    (void)pixel;
    __asm volatile(
        "push {r0, r4-r11, lr}\n"
        "mov r12, r0\n"
        "1:\n"
        "ldrd r0, r1, [r12]\n"
        "ldrd lr, r8, [r12, #12]\n"
        "ldr r11, [r12, #20]\n"
        "ldr r3, [r12, #32]\n"
        "ldr r10, [r12, #40]\n"
        "ldm r1, {r4-r7}\n"
        "add r1, r1, r3\n"
        "cmp lr, #0\n"
        "beq 5f\n"
        "cmp r8, #3\n"
        "bne 3f\n"
        "2:\n"
        TAP("[r0]") TAP("[r0, r11]") TAP("[r0, r11, lsl #1]")
        "ldrd r2, r3, [r12, #24]\n"
        "adds r0, r0, r2\n"
        "adds r1, r1, r3\n"
        "subs lr, lr, #1\n"
        "bne 2b\n"
        "b 5f\n"
        "3:\n"
        "ldr r12, [r12, #16]\n"
        "4:\n"
        TAP("[r0]")
        "add r0, r0, r11\n"
        "subs r12, r12, #1\n"
        "bne 4b\n"
        "ldr r12, [sp]\n"
        "ldrd r2, r3, [r12, #24]\n"
        "adds r0, r0, r2\n"
        "adds r1, r1, r3\n"
        "subs lr, lr, #1\n"
        "bne 3b\n"
        "5:\n"
        "ldrd r0, r1, [r12, #4]\n"
        "ldr r11, [r12, #36]\n"
        "add r11, r11, r0\n"
        "adds r0, r0, #16\n"
        "ldr r10, [r12, #44]\n"
        RESULT(r4) RESULT(r5) RESULT(r6) RESULT(r7)
        "ldr r0, [r12]\n"
        "ldr r2, [r12, #48]\n"
        "adds r0, r0, #4\n"
        "strd r0, r11, [r12]\n"
        "str r1, [r12, #8]\n"
        "subs r2, r2, #1\n"
        "str r2, [r12, #48]\n"
        "bne 1b\n"
        "pop {r0, r4-r11, pc}\n");
}

/* clang-format on */

#else

static void run_pixel(struct pixel *pixel) {
    const uint32_t columns_step = pixel->columns == UNROLLED ? 0u : pixel->columns * pixel->step;
    for (; pixel->blocks > 0u; pixel->blocks--) {
        const struct filter *filter = (const struct filter *)(const void *)pixel->filter;
        int32_t sums[CHANNELS];
        memcpy(sums, filter->bias, sizeof sums);
        uint32_t at = 0;
        const int8_t *weights = (const int8_t *)pixel->filter + pixel->first;
        for (uint32_t row = 0; row < pixel->rows; row++) {
            for (uint32_t i = 0; i < pixel->columns; i++, weights += CHANNELS) {
                const uint32_t x = hb_dsp_load(pixel->values + at + i * pixel->step);
                const uint32_t taps = hb_dsp_load(weights);
                const uint32_t even = hb_dsp_even_plus(pixel->offset, x), w02 = hb_dsp_even(taps);
                const uint32_t odd = hb_dsp_odd_plus(pixel->offset, x), w13 = hb_dsp_odd(taps);
                sums[0] = hb_dsp_mac_low(even, w02, sums[0]);
                sums[1] = hb_dsp_mac_low(odd, w13, sums[1]);
                sums[2] = hb_dsp_mac_high(even, w02, sums[2]);
                sums[3] = hb_dsp_mac_high(odd, w13, sums[3]);
            }
            at += columns_step + pixel->value_skip;
            weights += pixel->weight_skip;
        }
        for (uint32_t c = 0; c < CHANNELS; c++) {
            *pixel->output++ = hb_dsp_requantise(hb_dsp_times_256(sums[c]), &filter->scale[c],
                                                 pixel->negative != 0u);
        }
        pixel->values += CHANNELS;
        pixel->filter += pixel->filter_bytes;
    }
}

#endif

static uint64_t filter_bytes(const struct hb_plan_window *w) {
    return sizeof(struct filter) + (uint64_t)w->kernel_h * w->kernel_w * CHANNELS;
}

HB_COLD static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                        const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const enum hb_plan_fault fault = hb_dsp_check(w, &op.quantised);
    if (fault != HB_PLAN_FAULT_NONE) {
        return fault;
    }
    if (w->in_c != w->out_c || w->in_c % CHANNELS != 0u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    if (!hb_constant_ok(memory, op.filters, w->out_c / CHANNELS * filter_bytes(w), 1u)) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const uint8_t *scales = memory->constants + op.filters + offsetof(struct filter, scale);
    for (uint32_t i = 0; i < CHANNELS; i++) {
        if (!hb_dsp_scales_ok(scales + i * sizeof(struct hb_dsp_scale), w->out_c / CHANNELS,
                              filter_bytes(w))) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const uint32_t in_c = w->in_c;
    int32_t y = -w->pad_top;
    for (uint32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        const struct hb_taps rows = hb_taps_inside(y, w->kernel_h, w->dilation_h, w->in_h);
        int32_t x = -w->pad_left;
        for (uint32_t out_x = 0; out_x < w->out_w; out_x++, x += w->stride_w) {
            const struct hb_taps columns = hb_taps_inside(x, w->kernel_w, w->dilation_w, w->in_w);
            struct pixel p;
            p.columns = (uint32_t)(columns.end - columns.begin);
            p.rows = p.columns > 0u ? (uint32_t)(rows.end - rows.begin) : 0u;
            p.values = input;
            if (p.rows > 0u) { /* else there is no such value to point at */
                p.values += ((size_t)(y + rows.begin * w->dilation_h) * w->in_w +
                             (size_t)(x + columns.begin * w->dilation_w)) *
                            in_c;
            }
            p.filter = memory->constants + op.filters;
            p.output = output;
            p.step = w->dilation_w * in_c;
            p.value_skip = (uint32_t)w->dilation_h * w->in_w * in_c;
            p.value_skip -= p.columns == UNROLLED ? 0u : p.columns * p.step;
            p.weight_skip = (w->kernel_w - p.columns) * CHANNELS;
            p.first = sizeof(struct filter) +
                      ((uint32_t)rows.begin * w->kernel_w + (uint32_t)columns.begin) * CHANNELS;
            p.filter_bytes = (uint32_t)filter_bytes(w);
            p.offset = (uint16_t)-op.quantised.input_zero_point * 0x10001u;
            p.negative = op.linear != 0u ? 128u : 0u;
            p.blocks = in_c / CHANNELS;
            run_pixel(&p);
            output += in_c;
        }
    }
    hb_dsp_clamp((int8_t *)(memory->arena + op.head.output), hb_window_out(w), &op.quantised);
}

const struct hb_kernel hb_dsp_depthwise_s8 = {HB_PLAN_DEPTHWISE_S8_DSP,
                                              sizeof(struct hb_plan_depthwise_s8_dsp), check, run};

#endif
