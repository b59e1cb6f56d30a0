/* DEPTHWISE_CONV_2D, int8, kernel 3x3, columns strided by 2, a multiple of 4 channels.
 *
 * As tiles.h, with tiles of 5 columns by 3 rows, which hold the windows of two neighbouring
 * outputs. The three rows of an output row are brought to scratch first. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "product.h"
#include "spread.h"

#define COLUMN_BYTES 12 /* 3 rows of 4 channels */
#define STRIDE       2
#define TILE_BYTES   (2 * STRIDE * COLUMN_BYTES) /* from tile to tile */

/* A channel's weights are 6 zeros, 3 columns of 3 rows and a zero: read from the first, they are
 * the window of the second output; from the seventh, of the first. Behind the last are 6 zeros. */
#define CHANNEL_WEIGHTS 16u
#define LAST_ZEROS      6u

static uint32_t tiles_of(const struct hb_plan_window *w) {
    return (w->out_w + 1u) / 2u;
}

/* VLD4 reads 16 values from a tile's first column: a sixth column begins. */
static uint32_t columns_of(const struct hb_plan_window *w) {
    return tiles_of(w) * 2u * STRIDE + 2u;
}

static uint64_t rows_bytes(const struct hb_plan_window *w) {
    return (uint64_t)columns_of(w) * COLUMN_BYTES * (w->in_c / HB_MVE_BLOCK);
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_3x3_s2_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->in_c != w->out_c || w->in_c % HB_MVE_BLOCK != 0u ||
        w->kernel_h != 3u || w->kernel_w != 3u || w->stride_w != STRIDE || w->dilation_h != 1u ||
        w->dilation_w != 1u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised) || op.away > 1u) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, 16u + rows_bytes(w) + w->out_c, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    const uint32_t blocks = w->in_c / HB_MVE_BLOCK;
    if (!hb_constant_ok(memory, op.weights, w->in_c * CHANNEL_WEIGHTS + LAST_ZEROS, 1u) ||
        !hb_constant_ok(memory, op.scales, blocks, sizeof(struct hb_mve_scales))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    return hb_mve_scales_ok(memory, op.scales, blocks) ? HB_PLAN_FAULT_NONE
                                                       : HB_PLAN_FAULT_PARAMETER;
}

#ifdef __ARM_FEATURE_MVE

#define CHANNEL(q, first, second)                                                                  \
    "vldrb.8 q6, [r9, #6]\n\t"                                                                     \
    "vldrb.8 q7, [r9], #16\n\t"                                                                    \
    "vmladav.s8 " first ", " q ", q6\n\t"                                                          \
    "vmladav.s8 " second ", " q ", q7\n\t"

/* Two neighbouring outputs of all channels, from p->pixel[0]. r3: tile, r5: pitch, r9: weights. */
__attribute__((noinline)) static void two_outputs(struct hb_mve_product *p) {
    register struct hb_mve_product *r11 __asm("r11") = p;
    __asm volatile(HB_MVE_BEGIN "ldrd r2, r3, [r11]\n\t"
                                "ldr r5, [r11, #48]\n"
                                "1:\n\t"
                                "vld40.8 {q0, q1, q2, q3}, [r3]\n\t"
                                "vld41.8 {q0, q1, q2, q3}, [r3]\n\t"
                                "vld42.8 {q0, q1, q2, q3}, [r3]\n\t"
                                "vld43.8 {q0, q1, q2, q3}, [r3]\n\t"
                                "add r3, r3, r5\n\t" /* */
                   CHANNEL("q0", "r0", "r8")         /* */
                   CHANNEL("q1", "r2", "r10")        /* */
                   CHANNEL("q2", "r4", "r12")        /* */
                   CHANNEL("q3", "r6", "lr")         /* */
                   HB_MVE_RESULTS("ldr r2, [r11]\n\t")
                   : "+r"(r11)
                   :
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "q0",
                     "q1", "q2", "q3", "q4", "q5", "q6", "q7", "cc", "memory");
}

#else

static void two_outputs(struct hb_mve_product *p) {
    const int8_t *weights = p->weights + LAST_ZEROS;
    const int8_t *tile = p->pixel[0];
    for (const struct hb_mve_scales *scales = p->scales; scales != p->scales_end; scales++) {
        for (int32_t pixel = 0; pixel < 2; pixel++) {
            uint32_t sums[HB_MVE_BLOCK] = {0};
            for (int32_t c = 0; c < HB_MVE_GROUP; c++) {
                for (int32_t tap = 0; tap < 9; tap++) {
                    const int8_t value = tile[pixel * STRIDE * COLUMN_BYTES + 4 * tap + c];
                    sums[c] += (uint32_t)(value * weights[(int32_t)CHANNEL_WEIGHTS * c + tap]);
                }
            }
            hb_mve_results(p, pixel, sums, scales);
        }
        weights += HB_MVE_GROUP * CHANNEL_WEIGHTS;
        tile += p->pitch;
    }
}

#endif

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_3x3_s2_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const struct hb_mve_rows rows = {w, (const int8_t *)(memory->arena + op.head.input),
                                     (int8_t *)(memory->arena + op.scratch),
                                     (int32_t)columns_of(w)};
    const int32_t bytes = (int32_t)rows_bytes(w);
    int8_t *spare = rows.scratch + 16 + bytes;
    hb_mve_fill(rows.scratch, op.quantised.input_zero_point, 16 + bytes);

    struct hb_mve_product p;
    p.weights = (const int8_t *)(memory->constants + op.weights);
    p.scales = (const struct hb_mve_scales *)(const void *)(memory->constants + op.scales);
    p.scales_end = p.scales + w->in_c / HB_MVE_BLOCK;
    p.more_steps = 0;
    p.away = (int32_t)op.away;
    p.zero_point = op.quantised.output_zero_point;
    p.minimum = op.quantised.minimum;
    p.maximum = op.quantised.maximum;
    p.pitch = rows.columns * COLUMN_BYTES;

    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    int32_t y = -w->pad_top;
    for (int32_t out_y = 0; out_y < w->out_h; out_y++, y += w->stride_h) {
        for (int32_t row = 0; row < 3; row++) {
            hb_mve_spread(&rows, y + row, row, COLUMN_BYTES);
        }
        p.pixel[0] = rows.scratch + 16;
        for (int32_t left = w->out_w; left > 0; left -= 2, p.pixel[0] += TILE_BYTES) {
            p.output[0] = output;
            output += w->out_c;
            p.output[1] = left > 1 ? output : spare;
            output += left > 1 ? w->out_c : 0;
            two_outputs(&p);
        }
    }
}

const struct hb_kernel hb_mve_depthwise_3x3_s2_s8 = {
    HB_PLAN_DEPTHWISE_3X3_S2_S8_MVE, sizeof(struct hb_plan_depthwise_3x3_s2_s8_mve), check, run};

#endif
