#include "hb_clock.h"

#define OVERHEAD_READS 256

void hb_clock_init(struct hb_clock *clock) {
    uint8_t bits = hb_port_info()->counter_bits;
    clock->mask = bits < 32 ? ((uint32_t)1 << bits) - 1 : UINT32_MAX;
    clock->overhead_ticks = UINT32_MAX;
    for (int i = 0; i < OVERHEAD_READS; ++i) {
        uint32_t start = hb_port_counter();
        uint32_t end = hb_port_counter();
        uint32_t elapsed = hb_clock_elapsed(clock, start, end);
        if (elapsed < clock->overhead_ticks) {
            clock->overhead_ticks = elapsed; /* the minimum: without cache misses and interrupts */
        }
    }
}

uint64_t hb_clock_idle(const struct hb_clock *clock, uint32_t duration_us, bool marker) {
    /* Pieces of at most half a wrap, so that a late wake-up is not taken for an early one. Rounded
     * down in 32 bits: dividing 64 costs the Uno 300 bytes. */
    const uint32_t piece_us = clock->mask / 2 / (hb_port_info()->counter_hz / 1000000u + 1);
    uint64_t ticks = 0;
    if (marker) {
        hb_port_marker(true);
    }
    uint32_t last = hb_port_counter();
    while (duration_us > 0) {
        uint32_t part_us = duration_us < piece_us ? duration_us : piece_us;
        hb_port_idle(part_us);
        duration_us -= part_us;
        uint32_t now = hb_port_counter();
        ticks += hb_clock_elapsed(clock, last, now);
        last = now;
    }
    if (marker) {
        hb_port_marker(false);
    }
    return ticks;
}
