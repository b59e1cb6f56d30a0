/* What a kernel is to the plan executor: one operator on one element type.
 *
 * check() looks at every number of a record once, at load; run() then trusts it. Kernels copy their
 * record to the stack, so that the compiler knows that stores to a tensor do not change it. */
#ifndef HB_KERNEL_H
#define HB_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hb_const.h"
#include "hb_plan.h"

/* Sets of kernels for instructions beyond the base; a host test may ask for them. */
#if defined(__ARM_FEATURE_MVE)
#define HB_WITH_MVE 1
#elif defined(__ARM_FEATURE_DSP)
#define HB_WITH_DSP 1
#endif
#if defined(__ARM_FP) && (__ARM_FP & 4) && defined(__ARM_FEATURE_FMA)
#define HB_WITH_FPU 1
#endif

/* Inner loops whose cost is the call. */
#ifdef __GNUC__
#define HB_INLINE    static inline __attribute__((always_inline))
#define HB_NO_INLINE static __attribute__((noinline, unused))
#else
#define HB_INLINE    static inline
#define HB_NO_INLINE static
#endif

struct hb_kernel_memory {
    const HB_CONST uint8_t *constants; /* 16-byte aligned */
    uint32_t constants_bytes;
    uint8_t *arena; /* 16-byte aligned */
    uint32_t arena_bytes;
};

struct hb_kernel {
    uint16_t kind;
    uint16_t record_bytes;
    enum hb_plan_fault (*check)(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory);
    void (*run)(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory);
};

/* Every kernel of the image: the list ends with NULL. */
extern const struct hb_kernel *const hb_kernels[];
extern const char hb_kernels_name[];

/* Does [offset, offset + elements * element_bytes) lie in an arena or a constants section? */
static inline bool hb_inside(uint32_t offset, uint64_t elements, uint32_t element_bytes,
                             uint32_t section_bytes) {
    return offset % HB_PLAN_ALIGNMENT == 0u && offset <= section_bytes &&
           elements <= (section_bytes - offset) / element_bytes;
}

static inline bool hb_tensor_ok(const struct hb_kernel_memory *memory, uint32_t offset,
                                uint64_t elements, uint32_t element_bytes) {
    return hb_inside(offset, elements, element_bytes, memory->arena_bytes);
}

static inline bool hb_constant_ok(const struct hb_kernel_memory *memory, uint32_t offset,
                                  uint64_t elements, uint32_t element_bytes) {
    return hb_inside(offset, elements, element_bytes, memory->constants_bytes);
}

/* Both tensors of an operator with one input. */
static inline bool hb_tensors_ok(const struct hb_kernel_memory *memory,
                                 const struct hb_plan_head *head, uint64_t in_elements,
                                 uint32_t in_bytes, uint64_t out_elements, uint32_t out_bytes) {
    return hb_tensor_ok(memory, head->input, in_elements, in_bytes) &&
           hb_tensor_ok(memory, head->output, out_elements, out_bytes);
}

#endif
