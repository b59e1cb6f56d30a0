/* A port in memory: bytes in and out of arrays, a counter that moves only when it is told to. */
#ifndef FAKE_PORT_H
#define FAKE_PORT_H

#include "hb_port.h"

#define FAKE_POOL_BYTES  4096
#define FAKE_STACK_BYTES 512
#define FAKE_PULSES      16

struct fake_port {
    uint8_t rx[1 << 16], tx[1 << 18], stack[FAKE_STACK_BYTES];
    uint8_t *pool; /* its own allocation, so that a sanitizer sees every byte beyond it */
    size_t pool_bytes, rx_from, rx_to, tx_length, tx_flushed;
    uint32_t counter, read_cost; /* every read of the counter takes read_cost ticks */
    uint8_t counter_bits;
    bool quiet, marker;
    unsigned writes_while_quiet, quiet_unflushed, resets, marker_pulses;
    uint32_t marker_moved; /* counter, not masked, when the marker moved last */
    uint64_t marker_ticks; /* that it was up */
    uint32_t marker_shortest_low;
    struct {
        uint32_t ticks;
        uint64_t idle_us;
    } pulses[FAKE_PULSES];         /* the first ones: how long, and asleep of it */
    uint64_t idle_us, idle_us_low; /* in all; while the marker is down */
    uint32_t overruns;
    struct hb_port_info info;
    struct hb_resident_header *resident; /* NULL: the image has no such section */
};

extern struct fake_port fake;

void fake_port_reset(void);
void fake_port_receive(const uint8_t *bytes, size_t length);

#endif
