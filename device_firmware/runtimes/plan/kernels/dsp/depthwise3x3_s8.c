/* DEPTHWISE_CONV_2D, int8, 3 x 3, stride 1, channels a multiple of 4.
 *
 * Four channels at a time, all their lines before the next four: a line is widened to int16 and
 * transposed into a ring of three lines per channel in scratch, padding as the input's zero point.
 * Ring words hold two neighbouring values; word j of the three lines follow each other. So one
 * multiplication has two taps of one output, and an output pixel may be written over the input
 * pixel it came from: in place, exactly.
 *
 * Lines run along the image's longer side: where `vertical` is set, they are its columns, and the
 * weights are transposed. The weights of a channel are, per line, the bytes {w1, w0, w2, w1}. */
#include "dsp.h"

#ifdef HB_WITH_DSP

#define CHANNELS 4u
#define LINES    3u
#define WORD     (LINES * 4u) /* bytes of word j of a channel's ring */

/* As packed. */
struct filter {
    int32_t bias; /* times 2^8 */
    struct hb_dsp_scale scale;
    uint32_t weights[LINES];
};

/* Of one channel, unpacked: {w0, w1}, {w1, w2} times 2^8 for lines 0, 1, 2, 0, 1, so that any line
 * of the ring may be the first. */
struct taps {
    uint32_t weights[2u * LINES - 1u][2];
    int32_t bias;
    struct hb_dsp_scale scale;
};

/* One line of outputs of four channels; run_line() consumes it. */
struct line {
    const struct taps *taps;
    const uint32_t *ring; /* of the first channel */
    int8_t *output;
    uint32_t rotation;    /* bytes to the weights of ring line 0 */
    uint32_t ring_bytes;  /* of one channel */
    uint32_t pairs_bytes; /* WORD * (outputs / 2) */
    uint32_t odd;         /* outputs % 2 */
    uint32_t step;        /* from one output of a line to the next, in bytes */
    uint32_t linear;
    uint32_t channels;
};

#ifdef HB_DSP_ASM

/* clang-format off */

/* {x0, x1} is in `x`; loads {x2, x3} of the line at `at`: four taps more of r7, two of r8. */
#define LINE(x, at, w01, w12, first_7, first_8)                                                    \
    "smlad r7, " #x ", " #w01 ", " #first_7 "\n"                                                   \
    "smlatb r8, " #x ", " #w01 ", " #first_8 "\n"                                                  \
    "ldr " #x ", " at "\n"                                                                         \
    "smlabt r7, " #x ", " #w12 ", r7\n"                                                            \
    "smlad r8, " #x ", " #w12 ", r8\n"

#define SUMS                                                                                       \
    "ldm sp, {r11, r12, lr}\n" /* bias, third line of weights */                                   \
    LINE(r6, "[r9, #8]", r12, lr, r11, r11)                                                        \
    LINE(r5, "[r9, #4]", r2, r3, r7, r8)                                                           \
    LINE(r4, "[r9], #12", r0, r1, r7, r8)                                                          \
    "ldrd r11, r12, [sp, #12]\n" /* multiplier, addend */

#define STORE                                                                                      \
    "ldrd r11, r12, [sp, #20]\n" /* shift, step */                                                 \
    "asr r7, r7, r11\n asr r8, r8, r11\n"                                                          \
    "ssat r7, #8, r7\n ssat r8, #8, r8\n"                                                          \
    "strb r8, [r10, r12]\n strb r7, [r10]\n"                                                       \
    "add r10, r10, r12, lsl #1\n"                                                                  \
    "ldr r12, [sp, #28]\n"                                                                         \
    "cmp r9, r12\n"

/* On the stack: bias 0, weights of ring line 2 4 and 8, multiplier 12, addend 16, shift 20, step 24,
 * end 28, line 32. r0-r3: weights of ring lines 0 and 1; r9: ring; r10: output.
 * The last output of an odd line is stored over its right neighbour, which does not exist. */
__attribute__((naked)) static void run_line(struct line *line) {
    (void)line;
    __asm volatile(
        "push {r4-r11, lr}\n"
        "sub sp, sp, #36\n"
        "str r0, [sp, #32]\n"
        "1:\n" /* a channel */
        "ldr lr, [sp, #32]\n"
        "ldm lr, {r0-r5}\n"
        "add r6, r0, #40\n"
        "ldm r6, {r6-r9}\n"
        "str r6, [sp]\n"
        "strd r7, r8, [sp, #12]\n"
        "str r9, [sp, #20]\n"
        "mov r9, r1\n"
        "mov r10, r2\n"
        "add r11, r0, r3\n"
        "adds r0, r0, #56\n"
        "adds r1, r4, r9\n"
        "adds r2, r2, #1\n"
        "stm lr, {r0-r2}\n"
        "add r5, r5, r9\n"
        "adds r5, r5, #12\n"
        "ldrd r7, r8, [lr, #28]\n"
        "strd r7, r5, [sp, #24]\n"
        "ldm r11, {r0-r3, r12, lr}\n"
        "strd r12, lr, [sp, #4]\n"
        "mov r7, r5\n"
        "ldm r9!, {r4-r6}\n"
        "cmp r9, r7\n"
        "beq 3f\n"
        "cmp r8, #0\n"
        "bne 5f\n"
        "2:\n" /* two outputs */
        SUMS
        "smmla r7, r7, r11, r12\n smmla r8, r8, r11, r12\n"
        STORE
        "bne 2b\n"
        "3:\n"
        "ldr lr, [sp, #32]\n"
        "ldr r7, [lr, #24]\n"
        "cbz r7, 4f\n"
        "ldr r7, [sp, #24]\n"
        "cbz r7, 4f\n"
        "movs r7, #0\n"
        "add r8, r9, #12\n"
        "strd r7, r8, [sp, #24]\n"
        "ldr r7, [lr, #32]\n"
        "cmp r7, #0\n"
        "beq 2b\n"
        "b 5f\n"
        "4:\n"
        "ldr r7, [lr, #36]\n"
        "subs r7, r7, #1\n"
        "str r7, [lr, #36]\n"
        "bne 1b\n"
        "add sp, sp, #36\n"
        "pop {r4-r11, pc}\n"
        "5:\n" /* two outputs, with the term of negative sums */
        SUMS
        "asr lr, r7, #31\n"
        "smmla r7, r7, r11, r12\n"
        "add r7, r7, lr, lsl #7\n"
        "asr lr, r8, #31\n"
        "smmla r8, r8, r11, r12\n"
        "add r8, r8, lr, lsl #7\n"
        STORE
        "bne 5b\n"
        "b 3b\n");
}

/* clang-format on */

#else

static int32_t ring_value(const uint32_t *ring, uint32_t line, uint32_t i) {
    return hb_dsp_half(ring[i / 2u * LINES + line], (int)(i % 2u));
}

static void run_line(struct line *line) {
    const uint32_t outputs = line->pairs_bytes / WORD * 2u + line->odd;
    for (; line->channels > 0u; line->channels--) {
        const uint32_t(*weights)[2] = line->taps->weights + line->rotation / 8u;
        for (uint32_t i = 0; i < outputs; i++) {
            int32_t sum = line->taps->bias;
            for (uint32_t l = 0; l < LINES; l++) {
                const int32_t w[3] = {hb_dsp_half(weights[l][0], 0), hb_dsp_half(weights[l][0], 1),
                                      hb_dsp_half(weights[l][1], 1)};
                for (uint32_t k = 0; k < 3u; k++) {
                    sum = hb_dsp_add(sum, w[k] * ring_value(line->ring, l, i + k));
                }
            }
            line->output[(size_t)i * line->step] =
                hb_dsp_requantise(sum, &line->taps->scale, line->linear != 0u);
        }
        line->taps++;
        line->ring += line->ring_bytes / 4u;
        line->output++;
    }
}

#endif

/* The window seen along its lines. */
struct axes {
    uint32_t in_length, out_length, pad_length, length_step;
    uint32_t in_lines, out_lines, pad_lines, line_step;
};

static struct axes axes_of(const struct hb_plan_window *w, bool vertical) {
    const uint32_t row = (uint32_t)w->in_w * w->in_c;
    const struct axes upright = {w->in_w, w->out_w, w->pad_left, w->in_c,
                                 w->in_h, w->out_h, w->pad_top,  row};
    const struct axes turned = {w->in_h, w->out_h, w->pad_top,  row,
                                w->in_w, w->out_w, w->pad_left, w->in_c};
    return vertical ? turned : upright;
}

/* Words of one line of one channel. */
static uint32_t ring_words(const struct axes *a) {
    return (a->out_length + 1u) / 2u + 1u;
}

HB_COLD static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                        const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise3x3_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const enum hb_plan_fault fault = hb_dsp_check(w, &op.quantised);
    if (fault != HB_PLAN_FAULT_NONE) {
        return fault;
    }
    if (w->in_c != w->out_c || w->in_c % CHANNELS != 0u || w->kernel_h != 3u || w->kernel_w != 3u ||
        w->stride_h != 1u || w->stride_w != 1u || w->dilation_h != 1u || w->dilation_w != 1u ||
        w->pad_top > 1u || w->pad_left > 1u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    const struct axes a = axes_of(w, op.vertical != 0u);
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, ring_words(&a), CHANNELS * WORD)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    if (!hb_constant_ok(memory, op.filters, w->out_c, sizeof(struct filter))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const uint8_t *scales = memory->constants + op.filters + offsetof(struct filter, scale);
    return hb_dsp_scales_ok(scales, w->out_c, sizeof(struct filter)) ? HB_PLAN_FAULT_NONE
                                                                     : HB_PLAN_FAULT_PARAMETER;
}

static void unpack(const struct filter *filter, struct taps *taps) {
    for (uint32_t c = 0; c < CHANNELS; c++, filter++, taps++) {
        for (uint32_t i = 0; i < 2u * LINES - 1u; i++) {
            const uint32_t bytes = filter->weights[i % LINES];
            taps->weights[i][0] = bytes & 0xff00ff00u;
            taps->weights[i][1] = bytes << 8 & 0xff00ff00u;
        }
        taps->bias = filter->bias;
        taps->scale = filter->scale;
    }
}

/* Four channels of two neighbouring pixels. */
HB_INLINE void put(uint32_t *ring, size_t channel, uint32_t first, uint32_t second) {
    const uint32_t a = hb_dsp_even(first), b = hb_dsp_odd(first);
    const uint32_t c = hb_dsp_even(second), d = hb_dsp_odd(second);
    ring[0] = hb_dsp_low_halves(a, c);
    ring[channel] = hb_dsp_low_halves(b, d);
    ring[2u * channel] = hb_dsp_high_halves(a, c);
    ring[3u * channel] = hb_dsp_high_halves(b, d);
}

/* Puts `left` pixels of four channels, and padding around them, into `words` words of the ring. */
HB_NO_INLINE void fill(uint32_t *ring, uint32_t words, const int8_t *from, uint32_t left,
                       uint32_t step, bool pad, uint32_t padding) {
    const size_t channel = (size_t)words * LINES;
    if (pad && left > 0u) {
        put(ring, channel, padding, hb_dsp_load(from));
        from += step;
        left--;
        words--;
        ring += LINES;
    }
    uint32_t pairs = left / 2u < words ? left / 2u : words;
    words -= pairs;
    left -= 2u * pairs;
    for (; pairs > 0u; pairs--, ring += LINES) {
        put(ring, channel, hb_dsp_load(from), hb_dsp_load(from + step));
        from += 2u * step;
    }
    for (; words > 0u; words--, ring += LINES) {
        put(ring, channel, left > 0u ? hb_dsp_load(from) : padding, padding);
        left = 0u;
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise3x3_s8_dsp op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const struct axes a = axes_of(w, op.vertical != 0u);
    const struct filter *filters =
        (const struct filter *)(const void *)(memory->constants + op.filters);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *const output = (int8_t *)(memory->arena + op.head.output);
    uint32_t *ring = (uint32_t *)(void *)(memory->arena + op.scratch);
    const uint32_t words = ring_words(&a);
    const uint32_t padding = (uint8_t)op.quantised.input_zero_point * 0x01010101u;
    const uint32_t out_row = (uint32_t)w->out_w * w->out_c;
    struct taps taps[CHANNELS];
    struct line line;
    line.ring_bytes = words * WORD;
    line.pairs_bytes = a.out_length / 2u * WORD;
    line.odd = a.out_length % 2u;
    line.step = op.vertical != 0u ? out_row : w->out_c;
    line.linear = op.linear;
    for (uint32_t c = 0; c < w->out_c; c += CHANNELS) {
        unpack(filters + c, taps);
        const int8_t *from = input + c;
        int8_t *to = output + c;
        uint32_t slot = 0;                                        /* line of the ring */
        for (uint32_t i = 0; i < a.out_lines + LINES - 1u; i++) { /* of the padded image */
            const bool exists = i >= a.pad_lines && i - a.pad_lines < a.in_lines;
            fill(ring + slot, words, from, exists ? a.in_length : 0u, a.length_step,
                 a.pad_length != 0u, padding);
            from += exists ? a.line_step : 0u;
            slot = slot == LINES - 1u ? 0u : slot + 1u;
            if (i < LINES - 1u) {
                continue;
            }
            line.taps = taps;
            line.ring = ring;
            line.output = to;
            line.rotation = slot == 0u ? 0u : (LINES - slot) * 8u; /* the oldest line is next */
            line.channels = CHANNELS;
            run_line(&line);
            to += op.vertical != 0u ? w->out_c : out_row;
        }
    }
    hb_dsp_clamp(output, hb_window_out(w), &op.quantised);
}

const struct hb_kernel hb_dsp_depthwise3x3_s8 = {
    HB_PLAN_DEPTHWISE3X3_S8_DSP, sizeof(struct hb_plan_depthwise3x3_s8_dsp), check, run};

#endif
