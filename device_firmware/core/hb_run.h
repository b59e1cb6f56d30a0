/* The timed loop and what it leaves behind. Nothing in it touches the line. */
#ifndef HB_RUN_H
#define HB_RUN_H

#include "hb_clock.h"
#include "hb_model.h"
#include "hb_port_config.h"

#define HB_HISTOGRAM_BINS 64
/* An array cannot have no elements: a port that stores nothing sets the capacity to 0. */
#define HB_AT_LEAST_ONE(n) ((n) > 0 ? (n) : 1)

struct hb_measures {
    uint32_t ticks_stored;
    uint16_t profiled_operators;
    uint32_t histogram[HB_HISTOGRAM_BINS];
    uint32_t ticks[HB_AT_LEAST_ONE(HB_TICKS_CAPACITY)];
    uint64_t profile[HB_AT_LEAST_ONE(HB_PROFILE_CAPACITY)];
};

/* Half-octave bin: 2 * floor(log2 ticks), plus 1 in the upper half of the octave. */
static inline uint8_t hb_histogram_bin(uint32_t ticks) {
    uint8_t bin = 0;
    for (; ticks > 3; ticks >>= 1) {
        bin = (uint8_t)(bin + 2);
    }
    return (uint8_t)(bin + (ticks > 1 ? ticks : 0)); /* 0 and 1: bin 0; 2: bin 2; 3: bin 3 */
}

/* Runs what the (checked) request asks. On failure returns false with error's code and details. */
bool hb_run_timed(struct hb_model *model, const struct hb_clock *clock, const struct hb_run *run,
                  struct hb_measures *measures, struct hb_run_done *done, struct hb_error *error);

#endif
