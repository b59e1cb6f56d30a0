/* Sums over up to two axes, for each place on up to two others. */
#ifndef HB_PORTABLE_MEAN_H
#define HB_PORTABLE_MEAN_H

#include "../hb_kernel.h"

/* Elements of one sum at most: 2^23 * 255 still fits an int32. */
#define HB_MEAN_MAX_ELEMENTS (1u << 23)

static inline enum hb_plan_fault hb_reduce_check(const struct hb_plan_reduce *r,
                                                 const struct hb_plan_head *head,
                                                 const struct hb_kernel_memory *memory,
                                                 uint32_t element_bytes) {
    const uint32_t size[] = {r->kept_0, r->kept_1, r->summed_0, r->summed_1};
    const uint32_t stride[] = {r->kept_stride_0, r->kept_stride_1, r->summed_stride_0,
                               r->summed_stride_1};
    uint64_t elements = 1u, last = 0u;
    for (int axis = 0; axis < 4 && elements != 0u && elements <= UINT32_MAX && last <= UINT32_MAX;
         axis++) {
        elements *= size[axis];
        last += (uint64_t)(size[axis] - 1u) * stride[axis];
    }
    if (elements == 0u || (uint64_t)r->summed_0 * r->summed_1 > HB_MEAN_MAX_ELEMENTS ||
        elements > memory->arena_bytes) { /* it reads no element twice: this bounds its time */
        return HB_PLAN_FAULT_SHAPE;
    }
    return hb_tensors_ok(memory, head, last + 1u, element_bytes, (uint64_t)r->kept_0 * r->kept_1,
                         element_bytes)
               ? HB_PLAN_FAULT_NONE
               : HB_PLAN_FAULT_TENSOR;
}

#endif
