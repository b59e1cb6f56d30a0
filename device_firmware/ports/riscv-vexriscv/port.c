/* hb_port.h on the board of hilbench/drivers/emulators/verilator_soc/.
 *
 * What the core does is a function of the bytes it has received and of nothing else: the UART hands
 * over whole packets and the clock stands still until one is there. So a session takes the same
 * number of cycles however the host's bytes were timed, down to the state of caches and branch
 * predictor. */
#include "soc.h"

#include "hb_port.h"
#include "hb_port_config.h"
#include "hb_protocol.h"

#define CLOCK_HZ             50000000u
#define BUILD_ID_NOTE_HEADER 16u /* namesz, descsz, type, "GNU\0" */

extern uint8_t hb_stack_low[], hb_stack_high[], hb_pool_start[], hb_pool_end[];
extern const uint8_t hb_build_id_note[];

static uint32_t granted; /* received bytes that the UART has handed over */

/* ---- identity and memory ---- */

const struct hb_port_info *hb_port_info(void) {
    static const struct hb_port_info info = {
        .name = HB_PORT_NAME,
        .chip = "vexriscv",
        .counter_hz = CLOCK_HZ,
        .counter_bits = 32,
        .clock_source = HB_CLOCK_DECLARED,
    };
    return &info;
}

const uint8_t *hb_port_build_id(void) {
    return hb_build_id_note + BUILD_ID_NOTE_HEADER;
}

size_t hb_port_unique_id(char *out, size_t cap) {
    (void)out;
    (void)cap;
    return 0;
}

uint8_t *hb_port_pool(size_t *bytes) {
    *bytes = (size_t)(hb_pool_end - hb_pool_start);
    return hb_pool_start;
}

void hb_port_stack(uint8_t **low, uint8_t **high) {
    *low = hb_stack_low;
    *high = hb_stack_high;
}

/* ---- line ---- */

void hb_port_init(void) {
    granted = 0;
    hb_port_marker(false);
}

size_t hb_port_uart_read(uint8_t *out, size_t cap) {
    size_t count = granted < cap ? granted : cap;
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint8_t)SOC_UART_DATA;
    }
    granted -= (uint32_t)count;
    return count;
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        SOC_UART_DATA = data[i];
    }
}

void hb_port_uart_flush(void) {
    SOC_UART_FLUSH = 1;
}

uint32_t hb_port_uart_overruns(void) {
    return 0; /* a full FIFO holds the host back */
}

void hb_port_uart_wait(void) {
    hb_soc_serving = true;
    const uint32_t arrived = SOC_UART_WAIT;
    granted = arrived & SOC_WAIT_BYTES;
    if ((arrived & SOC_WAIT_PROBED) != 0) {
        /* A probe writes behind the caches. The first is VexRiscv's own and drops the data cache,
         * the second is fence.i. */
        __asm volatile(".word 0x0000500F\n\t.word 0x0000100F" ::: "memory");
    }
}

/* ---- time, marker, reset ---- */

uint32_t hb_port_counter(void) {
    return SOC_COUNTER;
}

void hb_port_quiet(bool on) {
    (void)on; /* there are no interrupts */
}

void hb_port_marker(bool on) {
    SOC_MARKER = on;
}

void hb_port_idle(uint32_t duration_us) {
    const uint64_t cycles = (uint64_t)duration_us * (CLOCK_HZ / 1000000u);
    for (uint64_t left = cycles; left > 0;) {
        const uint32_t part = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
        SOC_SLEEP = part;
        left -= part;
    }
}

void hb_port_reset(void) {
    SOC_RESET = 1;
    for (;;) {
    }
}
