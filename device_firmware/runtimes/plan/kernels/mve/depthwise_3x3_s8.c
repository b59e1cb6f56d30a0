/* DEPTHWISE_CONV_2D, int8, kernel 3x3, stride 1, a multiple of 4 channels: two output rows a step.
 *
 * The four input rows that a step needs are in scratch, padding as the input zero point; a step
 * brings the two next ones. So the output may lie over the input. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "spread.h"
#include "tiles.h"

/* Columns of a row in scratch: what the tiles of a row of outputs reach. */
static uint32_t columns_of(const struct hb_plan_window *w) {
    return (w->out_w + 1u) / 2u * 2u + 2u;
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_3x3_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    if (!hb_window_ok(w) || w->in_c != w->out_c || w->in_c % HB_MVE_GROUP != 0 ||
        w->kernel_h != 3u || w->kernel_w != 3u || w->stride_h != 1u || w->stride_w != 1u ||
        w->dilation_h != 1u || w->dilation_w != 1u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised) || op.away > 1u) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    if (!hb_tensors_ok(memory, &op.head, hb_window_in(w), 1u, hb_window_out(w), 1u) ||
        !hb_tensor_ok(memory, op.scratch, 16u + (uint64_t)columns_of(w) * 4u * w->in_c, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    if (!hb_constant_ok(memory, op.weights, w->in_c / HB_MVE_GROUP * HB_MVE_TILE_WEIGHTS + 4u,
                        1u) ||
        !hb_constant_ok(memory, op.scales, w->in_c, sizeof(struct hb_mve_tile_scales))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    const struct hb_mve_tile_scales *scales =
        (const struct hb_mve_tile_scales *)(const void *)(memory->constants + op.scales);
    for (uint32_t c = 0; c < w->in_c; c++) {
        if (!hb_scale_ok(scales[c].multiplier, scales[c].shift) || scales[c].shift > 0) {
            return HB_PLAN_FAULT_PARAMETER;
        }
    }
    return HB_PLAN_FAULT_NONE;
}

static void bring_row(const struct hb_mve_rows *r, int32_t y) {
    hb_mve_spread(r, y, (y + r->window->pad_top) % 4, 16);
}

/* `count` tiles of all channels, the rightmost at output column x. */
static void run_tiles(struct hb_mve_tiles *p, const struct hb_mve_rows *r, int8_t *output,
                      int32_t x, int32_t count, uint32_t lanes, bool turned) {
    const struct hb_plan_window *w = r->window;
    p->tile = r->scratch + 16 + x * 16;
    p->count = count;
    p->lanes = lanes;
    p->next_tile = r->columns * 16 + count * 32;
    p->next_output = HB_MVE_GROUP + count * p->step;
    p->output[0] = output + x * w->out_c;
    p->output[1] = p->output[0] + w->out_c;
    p->output[2] = p->output[0] + w->out_w * w->out_c;
    p->output[3] = p->output[2] + w->out_c;
    if (turned) {
        hb_mve_tiles_turned(p);
    } else {
        hb_mve_tiles_upright(p);
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_depthwise_3x3_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const struct hb_plan_window *w = &op.window;
    const struct hb_plan_quantised *q = &op.quantised;
    const struct hb_mve_rows rows = {w, (const int8_t *)(memory->arena + op.head.input),
                                     (int8_t *)(memory->arena + op.scratch),
                                     (int32_t)columns_of(w)};
    hb_mve_fill(rows.scratch, q->input_zero_point, 16 + rows.columns * 4 * w->in_c);

    struct hb_mve_tiles p;
    p.weights = (const int8_t *)(memory->constants + op.weights);
    p.scales = (const struct hb_mve_tile_scales *)(const void *)(memory->constants + op.scales);
    p.weights_end = p.weights + w->in_c / HB_MVE_GROUP * HB_MVE_TILE_WEIGHTS;
    p.zero_point = q->output_zero_point;
    p.away = (int32_t)op.away;
    p.step = 2 * w->out_c;

    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    bring_row(&rows, -w->pad_top);
    bring_row(&rows, 1 - w->pad_top);
    for (int32_t y = 0; y < w->out_h; y += 2) {
        bring_row(&rows, y + 2 - w->pad_top);
        bring_row(&rows, y + 3 - w->pad_top);
        const bool turned = y % 4 != 0;
        const int32_t height = y + 1 < w->out_h ? 2 : 1;
        const uint32_t lanes = height == 2 ? 0xFFFFu : 0x00FFu;
        int32_t tiles = (w->out_w + 1) / 2;
        if (y + 2 >= w->out_h && w->out_w % 2u != 0u) {
            /* Here an output too many would lie behind the tensor. */
            tiles--;
            run_tiles(&p, &rows, output, 2 * tiles, 1, lanes & 0x0F0Fu, turned);
        }
        if (tiles > 0) {
            run_tiles(&p, &rows, output, 2 * tiles - 2, tiles, lanes, turned);
        }
        if (q->minimum > INT8_MIN || q->maximum < INT8_MAX) {
            hb_mve_clamp(output, height * w->out_w * w->out_c, q->minimum, q->maximum);
        }
        output += 2 * w->out_w * w->out_c;
    }
}

const struct hb_kernel hb_mve_depthwise_3x3_s8 = {
    HB_PLAN_DEPTHWISE_3X3_S8_MVE, sizeof(struct hb_plan_depthwise_3x3_s8_mve), check, run};

#endif
