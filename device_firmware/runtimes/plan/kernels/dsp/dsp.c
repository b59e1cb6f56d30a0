#include "dsp.h"

#ifdef HB_WITH_DSP

void hb_dsp_clamp(int8_t *x, uint64_t count, const struct hb_plan_quantised *q) {
    if (q->minimum == INT8_MIN && q->maximum == INT8_MAX) {
        return;
    }
    const int8_t *const end = x + (size_t)count;
#ifdef HB_DSP_ASM
    const uint32_t low = (uint8_t)q->minimum * 0x01010101u;
    const uint32_t high = (uint8_t)q->maximum * 0x01010101u;
    for (const int8_t *const words = x + (size_t)(count & ~(uint64_t)3u); x != words; x += 4) {
        uint32_t bytes = hb_dsp_load(x), difference;
        __asm("ssub8 %1, %0, %2\n sel %0, %0, %2\n"
              "ssub8 %1, %3, %0\n sel %0, %0, %3\n"
              : "+r"(bytes), "=&r"(difference)
              : "r"(low), "r"(high));
        memcpy(x, &bytes, sizeof bytes);
    }
#endif
    for (; x != end; x++) {
        *x = (int8_t)hb_clamp(*x, q->minimum, q->maximum);
    }
}

HB_COLD enum hb_plan_fault hb_dsp_check(const struct hb_plan_window *w,
                                        const struct hb_plan_quantised *q) {
    if (!hb_window_ok(w)) {
        return HB_PLAN_FAULT_SHAPE;
    }
    return hb_quantised_ok(q) ? HB_PLAN_FAULT_NONE : HB_PLAN_FAULT_PARAMETER;
}

HB_COLD bool hb_dsp_scales_ok(const void *at, uint64_t count, uint64_t step) {
    for (const uint8_t *scales = at; count > 0u; count--, scales += step) {
        const struct hb_dsp_scale *scale = (const struct hb_dsp_scale *)(const void *)scales;
        if (scale->multiplier < 0 || scale->shift < 0 || scale->shift > 31) {
            return false;
        }
    }
    return true;
}

#endif
