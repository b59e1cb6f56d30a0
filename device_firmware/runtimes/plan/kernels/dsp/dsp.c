#include "dsp.h"

#ifdef HB_WITH_DSP

HB_COLD void hb_dsp_clamp(int8_t *x, uint64_t count, const struct hb_plan_quantised *q) {
    if (q->minimum == INT8_MIN && q->maximum == INT8_MAX) {
        return;
    }
    for (const int8_t *const end = x + count; x != end; x++) {
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
