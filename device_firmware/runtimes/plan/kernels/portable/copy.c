/* Moves blocks of bytes between two grids of up to five axes with any strides: PAD, CONCATENATION,
 * SPLIT, STRIDED_SLICE, TRANSPOSE, of any type. */
#include "../hb_kernel.h"

#define AXES 5

struct axes {
    uint32_t size[AXES];
    int32_t in_stride[AXES]; /* in bytes */
    int32_t out_stride[AXES];
};

static struct axes axes_of(const struct hb_plan_copy *op) {
    const struct axes axes = {
        {op->size_0, op->size_1, op->size_2, op->size_3, op->size_4},
        {op->in_stride_0, op->in_stride_1, op->in_stride_2, op->in_stride_3, op->in_stride_4},
        {op->out_stride_0, op->out_stride_1, op->out_stride_2, op->out_stride_3, op->out_stride_4},
    };
    return axes;
}

/* Does every block lie inside the arena, when the first one is `first` bytes into the tensor? */
static bool grid_ok(const struct hb_kernel_memory *memory, const uint32_t *size,
                    const int32_t *stride, uint32_t tensor, uint32_t first, uint32_t block) {
    int64_t low = first;
    int64_t high = (int64_t)first + block;
    for (int axis = 0; axis < AXES; axis++) {
        const int64_t reach = ((int64_t)size[axis] - 1) * stride[axis]; /* size fits 31 bits */
        low += reach < 0 ? reach : 0;
        high += reach > 0 ? reach : 0;
        if (low < 0 || high > (int64_t)memory->arena_bytes) {
            return false;
        }
    }
    return hb_tensor_ok(memory, tensor, (uint64_t)high, 1u);
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_copy op;
    hb_const_copy(&op, record, sizeof op);
    const struct axes axes = axes_of(&op);
    /* A copy writes no byte twice: this bounds its time. */
    uint64_t bytes = op.block;
    for (int axis = 0; axis < AXES && bytes != 0u && bytes <= memory->arena_bytes; axis++) {
        bytes *= axes.size[axis];
    }
    if (bytes == 0u || bytes > memory->arena_bytes) {
        return HB_PLAN_FAULT_SHAPE;
    }
    return grid_ok(memory, axes.size, axes.in_stride, op.head.input, op.in_offset, op.block) &&
                   grid_ok(memory, axes.size, axes.out_stride, op.head.output, op.out_offset,
                           op.block) &&
                   hb_tensor_ok(memory, op.head.output, op.fill_bytes, 1u)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_TENSOR;
}

static void fill(uint8_t *output, uint32_t bytes, uint32_t value) {
    if ((value & 0xffu) * 0x01010101u == value) {
        memset(output, (int)(value & 0xffu), bytes);
        return;
    }
    for (; bytes >= sizeof value; bytes -= (uint32_t)sizeof value, output += sizeof value) {
        memcpy(output, &value, sizeof value);
    }
}

/* `count` blocks along the last axis. */
static void line(const uint8_t *input, uint8_t *output, int32_t in_stride, int32_t out_stride,
                 uint32_t count, uint32_t block) {
    switch (block) {
    case 1:
        for (; count > 0u; count--, input += in_stride, output += out_stride) {
            *output = *input;
        }
        break;
    case 4:
        for (; count > 0u; count--, input += in_stride, output += out_stride) {
            memcpy(output, input, 4);
        }
        break;
    default:
        for (; count > 0u; count--, input += in_stride, output += out_stride) {
            memmove(output, input, block); /* of a hostile plan they may overlap */
        }
        break;
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_copy op;
    hb_const_copy(&op, record, sizeof op);
    const struct axes a = axes_of(&op);
    uint8_t *output = memory->arena + op.head.output;
    fill(output, op.fill_bytes, op.fill_value);
    const uint8_t *in_0 = memory->arena + op.head.input + op.in_offset;
    uint8_t *out_0 = output + op.out_offset;
    for (uint32_t i = 0; i < a.size[0]; i++, in_0 += a.in_stride[0], out_0 += a.out_stride[0]) {
        const uint8_t *in_1 = in_0;
        uint8_t *out_1 = out_0;
        for (uint32_t j = 0; j < a.size[1]; j++, in_1 += a.in_stride[1], out_1 += a.out_stride[1]) {
            const uint8_t *in_2 = in_1;
            uint8_t *out_2 = out_1;
            for (uint32_t k = 0; k < a.size[2]; k++) {
                const uint8_t *in_3 = in_2;
                uint8_t *out_3 = out_2;
                for (uint32_t l = 0; l < a.size[3]; l++) {
                    line(in_3, out_3, a.in_stride[4], a.out_stride[4], a.size[4], op.block);
                    in_3 += a.in_stride[3];
                    out_3 += a.out_stride[3];
                }
                in_2 += a.in_stride[2];
                out_2 += a.out_stride[2];
            }
        }
    }
}

const struct hb_kernel hb_portable_copy = {HB_PLAN_COPY, sizeof(struct hb_plan_copy), check, run};
