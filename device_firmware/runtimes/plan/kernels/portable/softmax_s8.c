/* SOFTMAX, int8 to int8 (scale 1/256, zero point -128), in fixed point.
 *
 * Qm below is a signed 32-bit number with m integer bits, that is, value * 2^(31 - m). exp of a
 * non-positive number is a Taylor polynomial on [-1/4, 0) times a product of exp(-2^k), one for
 * each bit set in what is left; 1/(1 + x) is three Newton-Raphson steps. */
#include "requantise.h"

#define DIFF_INTEGER_BITS 5u
#define SUM_INTEGER_BITS  12u
/* exp(0) is 2^19 in Q12: more terms than this would overflow the sum. */
#define MAX_DEPTH 4095u

static int32_t saturate(int64_t x) {
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

static int32_t shift_left_saturating(int32_t x, uint32_t bits) {
    return saturate((int64_t)x * ((int64_t)1 << bits));
}

/* Qa * Qb -> Q(a+b), ties upwards. */
static int32_t multiply(int32_t a, int32_t b) {
    return saturate(((int64_t)a * b + ((int32_t)1 << 30)) >> 31);
}

/* exp(x) in Q0 for x in [-1/4, 0), Q0: fourth order about -1/8. */
static int32_t exp_near_zero(int32_t x) {
    const int32_t exp_minus_eighth = 1895147668; /* Q0 */
    const int32_t third = 715827883;             /* Q0 */
    const int32_t t = x + ((int32_t)1 << 28);    /* x + 1/8 */
    const int32_t t2 = multiply(t, t);
    const int32_t t3 = multiply(t2, t);
    const int32_t t4_4 = hb_divide_pow2(multiply(t2, t2), 2);
    /* t^4/24 + t^3/6 + t^2/2 = ((t^4/4 + t^3)/3 + t^2)/2 */
    const int32_t tail = hb_divide_pow2(multiply(t4_4 + t3, third) + t2, 1);
    return exp_minus_eighth + multiply(exp_minus_eighth, t + tail);
}

/* exp(x) in Q0 for x <= 0, Q5. */
static int32_t exp_of_negative(int32_t x) {
    /* exp(-2^k) for k = -2 .. 4, Q0 */
    static const HB_CONST int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308,
                                               39332535,   720401,     242};
    const int32_t quarter = (int32_t)1 << 24; /* Q5 */
    if (x == 0) {
        return INT32_MAX;
    }
    const int32_t part = (x & (quarter - 1)) - quarter; /* [-1/4, 0) */
    int32_t result = exp_near_zero(shift_left_saturating(part, DIFF_INTEGER_BITS));
    const uint32_t rest = (uint32_t)part - (uint32_t)x;
    for (uint32_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        if (rest & ((uint32_t)quarter << i)) {
            result = multiply(result, factors[i]);
        }
    }
    return result;
}

/* 1 / (1 + x) in Q0 for x in [0, 1), Q0. */
static int32_t reciprocal_of_one_plus(int32_t x) {
    const int32_t q2_48_17 = 1515870810;
    const int32_t q2_minus_32_17 = -1010580540;
    const int32_t q2_one = (int32_t)1 << 29;
    const int32_t half_sum = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2); /* (1 + x) / 2 */
    int32_t y = q2_48_17 + multiply(half_sum, q2_minus_32_17);
    for (int i = 0; i < 3; i++) {
        const int32_t error = q2_one - multiply(half_sum, y);
        y = saturate((int64_t)y + shift_left_saturating(multiply(y, error), 2));
    }
    return shift_left_saturating(y, 1); /* y is 2 / (1 + x) in Q2: halve to Q1, widen to Q0 */
}

static uint32_t leading_zeros(uint32_t x) {
    uint32_t count = 0;
    for (; (x & 0x80000000u) == 0u; x <<= 1) {
        count++;
    }
    return count;
}

static enum hb_plan_fault check(const HB_CONST uint8_t *record,
                                const struct hb_kernel_memory *memory) {
    struct hb_plan_softmax_s8 op;
    hb_const_copy(&op, record, sizeof op);
    if (op.rows == 0u || op.depth == 0u || op.depth > MAX_DEPTH) {
        return HB_PLAN_FAULT_SHAPE;
    }
    /* No difference that counts may leave Q5 when it is scaled. */
    if (op.multiplier < 0 || op.shift < 0 || op.shift > 31 || op.diff_min > 0 ||
        op.diff_min < -(INT32_MAX >> op.shift)) {
        return HB_PLAN_FAULT_PARAMETER;
    }
    const uint64_t elements = (uint64_t)op.rows * op.depth;
    if (!hb_tensors_ok(memory, &op.head, elements, 1u, elements, 1u)) {
        return HB_PLAN_FAULT_TENSOR;
    }
    return HB_PLAN_FAULT_NONE;
}

static void softmax(const struct hb_plan_softmax_s8 *op, const int8_t *input, int8_t *output) {
    int32_t max = INT8_MIN;
    for (uint32_t i = 0; i < op->depth; i++) {
        max = input[i] > max ? input[i] : max;
    }
    uint32_t sum = 0; /* Q12 */
    for (uint32_t i = 0; i < op->depth; i++) {
        const int32_t diff = input[i] - max;
        if (diff >= op->diff_min) {
            const int32_t e = exp_of_negative(hb_scale(diff, op->multiplier, op->shift));
            sum += (uint32_t)hb_divide_pow2(e, SUM_INTEGER_BITS);
        }
    }
    /* sum = 2^bits_over_unit * (1 + x) */
    const uint32_t zeros = leading_zeros(sum);
    const int32_t scale = reciprocal_of_one_plus((int32_t)((sum << zeros) - 0x80000000u));
    const uint32_t shift = SUM_INTEGER_BITS - zeros + 31u - 8u;
    for (uint32_t i = 0; i < op->depth; i++) {
        const int32_t diff = input[i] - max;
        int32_t value = INT8_MIN;
        if (diff >= op->diff_min) {
            const int32_t e = exp_of_negative(hb_scale(diff, op->multiplier, op->shift));
            /* from 512 nearly equal terms on, each is below half an output step */
            value += shift > 31u ? 0 : hb_divide_pow2(multiply(scale, e), shift);
        }
        output[i] = (int8_t)hb_clamp(value, INT8_MIN, INT8_MAX);
    }
}

static void run(const HB_CONST uint8_t *record, const struct hb_kernel_memory *memory) {
    struct hb_plan_softmax_s8 op;
    hb_const_copy(&op, record, sizeof op);
    const int8_t *input = (const int8_t *)(memory->arena + op.head.input);
    int8_t *output = (int8_t *)(memory->arena + op.head.output);
    for (uint32_t row = 0; row < op.rows; row++, input += op.depth, output += op.depth) {
        softmax(&op, input, output);
    }
}

const struct hb_kernel hb_portable_softmax_s8 = {HB_PLAN_SOFTMAX_S8,
                                                 sizeof(struct hb_plan_softmax_s8), check, run};
