/* Two operands of up to four axes; along an axis of stride 0 an operand repeats. */
#ifndef HB_PORTABLE_BROADCAST_H
#define HB_PORTABLE_BROADCAST_H

#include "../hb_kernel.h"

#define HB_BROADCAST_AXES 4

enum hb_binary_mode {
    HB_BINARY_ADD = 0,
    HB_BINARY_SUBTRACT = 1,
    HB_BINARY_SUBTRACT_FROM = 2, /* input 2 less input 1 */
    HB_BINARY_MULTIPLY = 3,
    HB_BINARY_MAXIMUM = 4,
    HB_BINARY_MINIMUM = 5
};

struct hb_axes {
    uint32_t size[HB_BROADCAST_AXES];
    uint32_t stride_1[HB_BROADCAST_AXES]; /* in elements */
    uint32_t stride_2[HB_BROADCAST_AXES];
};

static inline struct hb_axes hb_axes_of(const struct hb_plan_broadcast *b) {
    const struct hb_axes axes = {
        {b->size_0, b->size_1, b->size_2, b->size_3},
        {b->stride_1_0, b->stride_1_1, b->stride_1_2, b->stride_1_3},
        {b->stride_2_0, b->stride_2_1, b->stride_2_2, b->stride_2_3},
    };
    return axes;
}

/* Elements from an operand's first to its last one; more than UINT32_MAX where they cannot be. */
static inline uint64_t hb_axes_reach(const uint32_t *size, const uint32_t *stride) {
    uint64_t last = 0;
    for (int axis = 0; axis < HB_BROADCAST_AXES && last <= UINT32_MAX; axis++) {
        last += (uint64_t)(size[axis] - 1u) * stride[axis];
    }
    return last + 1u;
}

static inline enum hb_plan_fault hb_broadcast_check(const struct hb_plan_broadcast *b,
                                                    const struct hb_plan_head *head,
                                                    const struct hb_kernel_memory *memory,
                                                    uint32_t element_bytes) {
    const struct hb_axes axes = hb_axes_of(b);
    uint64_t elements = 1u;
    for (int axis = 0; axis < HB_BROADCAST_AXES && elements <= UINT32_MAX; axis++) {
        elements *= axes.size[axis];
    }
    if (elements == 0u || b->mode > HB_BINARY_MINIMUM || b->constant > 1u) {
        return HB_PLAN_FAULT_SHAPE;
    }
    const uint64_t reach_2 = hb_axes_reach(axes.size, axes.stride_2);
    if (!hb_tensors_ok(memory, head, hb_axes_reach(axes.size, axes.stride_1), element_bytes,
                       elements, element_bytes) ||
        (b->constant == 0u && !hb_tensor_ok(memory, b->input_2, reach_2, element_bytes))) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return b->constant == 0u || hb_constant_ok(memory, b->input_2, reach_2, element_bytes)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_CONSTANT;
}

/* Not for an AVR, whose constants are another kind of memory. */
static inline const void *hb_operand_2(const struct hb_plan_broadcast *b,
                                       const struct hb_kernel_memory *memory) {
    return b->constant != 0u ? (const void *)(memory->constants + b->input_2)
                             : (const void *)(memory->arena + b->input_2);
}

/* Where the lines of the two operands begin, a line being the last axis: counts through the others.
 * Returns false after the last line. */
struct hb_line {
    uint32_t at[HB_BROADCAST_AXES - 1];
    size_t first_1;
    size_t first_2;
};

static inline bool hb_next_line(struct hb_line *line, const struct hb_axes *axes) {
    for (int axis = HB_BROADCAST_AXES - 2; axis >= 0; axis--) {
        line->first_1 += axes->stride_1[axis];
        line->first_2 += axes->stride_2[axis];
        if (++line->at[axis] < axes->size[axis]) {
            return true;
        }
        line->at[axis] = 0;
        line->first_1 -= (size_t)axes->size[axis] * axes->stride_1[axis];
        line->first_2 -= (size_t)axes->size[axis] * axes->stride_2[axis];
    }
    return false;
}

#endif
