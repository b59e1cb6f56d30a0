#include "fake_port.h"
#include "hb_protocol.h"

#include <stdlib.h>
#include <string.h>

struct fake_port fake;

void fake_port_reset(void) {
    free(fake.pool);
    free(fake.resident);
    memset(&fake, 0, sizeof fake);
    fake.pool_bytes = FAKE_POOL_BYTES;
    fake.pool = calloc(1, FAKE_POOL_BYTES);
    fake.read_cost = 3;
    fake.counter_bits = 32;
    fake.marker_shortest_low = UINT32_MAX;
    fake.info = (struct hb_port_info){"fake", "none", 1000000u, 32, HB_CLOCK_DECLARED, true};
}

void fake_port_receive(const uint8_t *bytes, size_t length) {
    if (fake.rx_from == fake.rx_to) {
        fake.rx_from = fake.rx_to = 0;
    }
    size_t room = sizeof fake.rx - fake.rx_to;
    size_t part = length < room ? length : room;
    if (part > 0) {
        memcpy(fake.rx + fake.rx_to, bytes, part);
    }
    fake.rx_to += part;
    fake.overruns += (uint32_t)(length - part);
}

void hb_port_init(void) {}

const struct hb_port_info *hb_port_info(void) {
    fake.info.counter_bits = fake.counter_bits;
    return &fake.info;
}

const uint8_t *hb_port_build_id(void) {
    static const uint8_t id[20] = "twenty bytes of id..";
    return id;
}

size_t hb_port_unique_id(char *out, size_t cap) {
    (void)cap;
    memcpy(out, "f00d", 4);
    return 4;
}

size_t hb_port_uart_read(uint8_t *out, size_t cap) {
    size_t left = fake.rx_to - fake.rx_from;
    size_t part = left < cap ? left : cap;
    memcpy(out, fake.rx + fake.rx_from, part);
    fake.rx_from += part;
    return part;
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    fake.writes_while_quiet += fake.quiet;
    if (length > sizeof fake.tx - fake.tx_length) {
        fake.tx_length = 0; /* nobody looks at that much */
    }
    memcpy(fake.tx + fake.tx_length, data, length);
    fake.tx_length += length;
}

void hb_port_uart_flush(void) {
    fake.tx_flushed = fake.tx_length;
}

uint32_t hb_port_uart_overruns(void) {
    return fake.overruns;
}

void hb_port_uart_wait(void) {}

uint32_t hb_port_counter(void) {
    uint32_t now = fake.counter;
    fake.counter += fake.read_cost;
    return fake.counter_bits < 32 ? now & ((1u << fake.counter_bits) - 1) : now;
}

void hb_port_quiet(bool on) {
    fake.quiet_unflushed += on && fake.tx_flushed != fake.tx_length;
    fake.quiet = on;
}

void hb_port_marker(bool on) {
    if (on == fake.marker) {
        return;
    }
    const uint32_t lasted = fake.counter - fake.marker_moved;
    if (!on) {
        fake.marker_ticks += lasted;
        if (fake.marker_pulses <= FAKE_PULSES) {
            fake.pulses[fake.marker_pulses - 1].ticks = lasted;
        }
    } else if (fake.marker_pulses++ > 0 && lasted < fake.marker_shortest_low) {
        fake.marker_shortest_low = lasted;
    }
    fake.marker = on;
    fake.marker_moved = fake.counter;
}

void hb_port_idle(uint32_t duration_us) {
    fake.idle_us += duration_us;
    if (!fake.marker) {
        fake.idle_us_low += duration_us;
    } else if (fake.marker_pulses <= FAKE_PULSES) {
        fake.pulses[fake.marker_pulses - 1].idle_us += duration_us;
    }
    fake.counter += duration_us; /* 1 MHz */
}

void hb_port_reset(void) {
    fake.resets++;
}

uint8_t *hb_port_pool(size_t *bytes) {
    *bytes = fake.pool_bytes;
    return fake.pool;
}

bool hb_port_resident(struct hb_resident *out) {
    return fake.resident != NULL && hb_resident_read(fake.resident, out);
}

void hb_port_stack(uint8_t **low, uint8_t **high) {
    *low = fake.stack;
    *high = fake.stack + sizeof fake.stack;
}
