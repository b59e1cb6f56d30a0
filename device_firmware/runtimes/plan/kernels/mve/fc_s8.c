/* FULLY_CONNECTED, int8, one scale: four units at a time, weights as in product.h. */
#include "../hb_kernel.h"

#ifdef HB_WITH_MVE

#include "mve.h"

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u || op.units == 0u || op.rows > (uint32_t)INT32_MAX ||
        op.depth > HB_WINDOW_MAX_ELEMENTS || op.units > HB_WINDOW_MAX_ELEMENTS) {
        return HB_PLAN_FAULT_SHAPE;
    }
    if (!hb_quantised_ok(&op.quantised) || op.away > 1u || !hb_scale_ok(op.multiplier, op.shift) ||
        op.shift > 0) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    const uint32_t padded = hb_mve_steps(op.depth) * HB_MVE_DEPTH;
    const uint64_t units = (uint64_t)hb_mve_blocks(op.units) * HB_MVE_BLOCK;
    if (!hb_tensors_ok(memory, &op.head, (uint64_t)op.rows * op.depth, 1u,
                       (uint64_t)op.rows * op.units, 1u) ||
        (padded != op.depth && !hb_tensor_ok(memory, op.scratch, padded, 1u))) {
        return HB_PLAN_FAULT_TENSOR;
    }
    if (!hb_constant_ok(memory, op.weights, units * padded, 1u) ||
        !hb_constant_ok(memory, op.bias, units, sizeof(int32_t))) {
        return HB_PLAN_FAULT_CONSTANT;
    }
    return HB_PLAN_FAULT_NONE;
}

/* The assembly knows the offsets. */
struct product {
    const int32_t *bias_end; /* 0 */
    uint32_t steps;          /* 4 */
    const int8_t *input;     /* 8 */
    const int32_t *bias;     /* 12 */
    int32_t multiplier;      /* 16 */
    const int8_t *weights;   /* 20 */
    int32_t away;            /* 24 */
    int32_t zero_point;      /* 28 */
    int32_t shift;           /* 32 */
    int8_t *output;          /* 36 */
    int32_t minimum;         /* 40 */
    int32_t maximum;         /* 44 */
};

#ifdef __ARM_FEATURE_MVE

/* r0 to r6, even: sums; r1: output, r3: input, r5: bias, r7: p, r9: weights. */
__attribute__((noinline)) static void multiply(const struct product *p) {
    register const struct product *r7 __asm("r7") = p;
    __asm volatile("ldrd r0, r2, [r7, #40]\n\t"
                   "vdup.32 q4, r0\n\t"
                   "vdup.32 q5, r2\n\t"
                   "ldr r1, [r7, #36]\n\t"
                   "add r0, r7, #12\n\t"
                   "ldm r0, {r5, r8, r9, r10, r11, r12}\n"
                   "1:\n\t"
                   "ldm r7, {r0, r2, r3}\n\t"
                   "mov r0, #0\n\t"
                   "dls lr, r2\n\t"
                   "mov r2, #0\n\t"
                   "mov r4, #0\n\t"
                   "mov r6, #0\n"
                   "2:\n\t"
                   "vldrb.8 q0, [r3], #16\n\t"
                   "vldrb.8 q1, [r9], #16\n\t"
                   "vmladava.s8 r0, q0, q1\n\t"
                   "vldrb.8 q2, [r9], #16\n\t"
                   "vmladava.s8 r2, q0, q2\n\t"
                   "vldrb.8 q1, [r9], #16\n\t"
                   "vmladava.s8 r4, q0, q1\n\t"
                   "vldrb.8 q2, [r9], #16\n\t"
                   "vmladava.s8 r6, q0, q2\n\t"
                   "le lr, 2b\n\t"
                   "vmov q0[2], q0[0], r0, r4\n\t"
                   "vmov q0[3], q0[1], r2, r6\n\t"
                   "vldrw.32 q1, [r5], #16\n\t"
                   "ldr r0, [r7]\n\t"
                   "vadd.i32 q0, q0, q1\n\t"
                   "vqrdmulh.s32 q0, q0, r8\n\t"
                   "vqdmlah.s32 q0, q0, r10\n\t"
                   "vrshl.s32 q0, r12\n\t"
                   "vqadd.s32 q0, q0, r11\n\t"
                   "vmax.s32 q0, q0, q4\n\t"
                   "vmin.s32 q0, q0, q5\n\t"
                   "vstrb.32 q0, [r1], #4\n\t"
                   "cmp r5, r0\n\t"
                   "bne 1b"
                   : "+r"(r7)
                   :
                   : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12",
                     "lr", "q0", "q1", "q2", "q4", "q5", "cc", "memory");
}

#else

static void multiply(const struct product *p) {
    const int8_t *weights = p->weights;
    int8_t *output = p->output;
    const int32_t depth = (int32_t)(p->steps * HB_MVE_DEPTH);
    for (const int32_t *bias = p->bias; bias != p->bias_end; bias += HB_MVE_BLOCK) {
        int32_t sums[HB_MVE_BLOCK];
        for (int32_t c = 0; c < (int32_t)HB_MVE_BLOCK; c++) {
            uint32_t sum = (uint32_t)bias[c];
            for (int32_t i = 0; i < depth; i++) {
                sum += (uint32_t)(p->input[i] * weights[i / 16 * 64 + c * 16 + i % 16]);
            }
            sums[c] = (int32_t)sum;
        }
        vstrwq_s32(sums, hb_mve_scale(vldrwq_s32(sums), vdupq_n_s32(p->multiplier),
                                      vdupq_n_s32(p->shift), p->away));
        for (int32_t c = 0; c < (int32_t)HB_MVE_BLOCK; c++) {
            const int32_t y = hb_clamp(sums[c], INT16_MIN, INT16_MAX) + p->zero_point;
            *output++ = (int8_t)hb_clamp(y, p->minimum, p->maximum);
        }
        weights += depth * (int32_t)HB_MVE_BLOCK;
    }
}

#endif

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_fc_s8_mve op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *weights = (const int8_t *)(memory->constants + op.weights);
    const int32_t *bias = (const int32_t *)(const void *)(memory->constants + op.bias);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    const uint32_t whole = op.units / HB_MVE_BLOCK * HB_MVE_BLOCK;
    struct product p;
    p.steps = hb_mve_steps(op.depth);
    p.multiplier = op.multiplier;
    p.away = (int32_t)op.away;
    p.zero_point = op.quantised.output_zero_point;
    p.shift = op.shift;
    p.minimum = op.quantised.minimum;
    p.maximum = op.quantised.maximum;
    for (uint32_t row = op.rows; row > 0u; row--) {
        p.input = input;
        if (op.depth % HB_MVE_DEPTH != 0u) {
            /* The last step reads beyond a row: weights are 0 there, but memory may end. */
            int8_t *copy = (int8_t *)(memory->arena + op.scratch);
            hb_mve_copy(copy, input, (int32_t)op.depth);
            p.input = copy;
        }
        p.weights = weights;
        p.bias = bias;
        p.bias_end = bias + whole;
        p.output = output;
        if (whole > 0u) {
            multiply(&p);
        }
        if (whole < op.units) {
            int8_t last[HB_MVE_BLOCK];
            p.weights = weights + whole * p.steps * HB_MVE_DEPTH;
            p.bias = bias + whole;
            p.bias_end = p.bias + HB_MVE_BLOCK;
            p.output = last;
            multiply(&p);
            memcpy(output + whole, last, op.units - whole);
        }
        input += op.depth;
        output += op.units;
    }
}

const struct hb_kernel hb_mve_fc_s8 = {HB_PLAN_FC_S8_MVE, sizeof(struct hb_plan_fc_s8_mve), check,
                                       run};

#endif
