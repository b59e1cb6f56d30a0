/* Differences of the port's counter. */
#ifndef HB_CLOCK_H
#define HB_CLOCK_H

#include "hb_port.h"
#include <stdint.h>

struct hb_clock {
    uint32_t mask;           /* of counter_bits ones */
    uint32_t overhead_ticks; /* two reads back to back show this much */
};

void hb_clock_init(struct hb_clock *clock);

/* Ticks that a pause took by the port's own counter, however often that wraps meanwhile; the marker
 * pin, if asked for, rises just before the first look at the counter and falls after the last. */
uint64_t hb_clock_idle(const struct hb_clock *clock, uint32_t duration_us, bool marker);

static inline uint32_t hb_clock_elapsed(const struct hb_clock *clock, uint32_t start,
                                        uint32_t end) {
    return (end - start) & clock->mask;
}

/* Elapsed ticks without the cost of reading the counter. */
static inline uint32_t hb_clock_net(const struct hb_clock *clock, uint32_t start, uint32_t end) {
    uint32_t elapsed = hb_clock_elapsed(clock, start, end);
    return elapsed > clock->overhead_ticks ? elapsed - clock->overhead_ticks : 0;
}

#endif
