/* hb_port.h on the BBC micro:bit v1 (nRF51822).
 *
 *   UART0    P0.24 transmits, P0.25 receives: the interface chip's USB serial port, 115200 baud.
 *   marker   P0.03: the large ring 0 of the edge connector, where a crocodile clip holds.
 *   counter  TIMER0, 32 bits at the 16 MHz of the crystal; wraps after 268 s.
 *
 * Once a probe has attached, the nRF51 stays in debug interface mode, whose sleep is not as deep,
 * until the supply is switched off: do that before energy is measured.
 *
 * Runs on QEMU's model of the board in every test; nobody ran it on the board. */
#include "hb_port.h"
#include "hb_port_config.h"
#include "hb_protocol.h"
#include "hb_ring.h"
#include "hex.h"
#include "nrf51.h"

#define COUNTER_HZ 16000000u
#define PIN_TX     24u
#define PIN_RX     25u
#define PIN_MARKER 3u

static struct hb_ring ring;
static volatile uint32_t hardware_overruns;
static bool sending;

/* RXDRDY is cleared before the byte is taken: taking it raises the event for the next of the six
 * that the UART holds. TIMER0 interrupts only while hb_port_idle() has interrupts masked. */
void hb_cortex_m_irq(void) {
    while (UART_RXDRDY != 0) {
        UART_RXDRDY = 0;
        hb_ring_put(&ring, (uint8_t)UART_RXD);
    }
    if (UART_ERROR != 0) {
        const uint32_t source = UART_ERRORSRC;
        UART_ERROR = 0;
        UART_ERRORSRC = source;
        hardware_overruns += source & UART_OVERRUN;
    }
}

static void counter_restart(void) {
    TIMER_STOP = 1;
    TIMER_CLEAR = 1;
    TIMER_START = 1;
}

void hb_port_init(void) {
    /* Without the crystal the 16 MHz come from an RC oscillator of some percent. */
    CLOCK_HFCLKSTARTED = 0;
    CLOCK_HFCLKSTART = 1;
    while (CLOCK_HFCLKSTARTED == 0) {
    }
    TIMER_BITMODE = TIMER_BITMODE_32;
    TIMER_PRESCALER = 0;
    counter_restart();

    hb_port_marker(false);
    GPIO_OUTSET = 1u << PIN_TX; /* a line at rest is high */
    GPIO_DIRSET = 1u << PIN_TX | 1u << PIN_MARKER;
    GPIO_PIN_CNF(PIN_RX) = PIN_INPUT_PULL_UP; /* the interface chip may be without power */

    UART_PSELTXD = PIN_TX;
    UART_PSELRXD = PIN_RX;
    UART_BAUDRATE = UART_BAUD_115200;
    UART_ENABLE = UART_ENABLED;
    UART_STARTTX = 1;
    UART_STARTRX = 1;
    UART_INTENSET = UART_INT_RXDRDY;
    hb_cortex_m_irq_enable(UART0_IRQ);
}

const struct hb_port_info *hb_port_info(void) {
    static struct hb_port_info info = {
        .name = HB_PORT_NAME,
        .counter_hz = COUNTER_HZ,
        .counter_bits = 32,
        .clock_source = HB_CLOCK_DECLARED,
    };
    info.chip = hb_cortex_m_chip();
    return &info;
}

/* 64 random bits that Nordic writes at production, the high word first. */
size_t hb_port_unique_id(char *out, size_t cap) {
    const size_t high = hb_hex(out, cap, FICR_DEVICEID1);
    return high + hb_hex(out + high, cap - high, FICR_DEVICEID0);
}

size_t hb_port_uart_read(uint8_t *out, size_t cap) {
    return hb_ring_get(&ring, out, cap);
}

/* Waits for a byte only when the next one follows: the core computes while a byte is on the line.
 */
void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        hb_port_uart_flush();
        UART_TXD = data[i];
        sending = true;
    }
}

void hb_port_uart_flush(void) {
    if (sending) {
        while (UART_TXDRDY == 0) {
        }
        UART_TXDRDY = 0;
        sending = false;
    }
}

uint32_t hb_port_uart_overruns(void) {
    return hb_ring_overruns(&ring) + hardware_overruns;
}

/* Interrupts are masked between the look and WFI, which wakes on a pending one all the same. */
void hb_port_uart_wait(void) {
    __asm volatile("cpsid i" ::: "memory");
    if (hb_ring_empty(&ring)) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

uint32_t hb_port_counter(void) {
    TIMER_CAPTURE0 = 1;
    return TIMER_CC0;
}

/* The counter restarts, so that a run begins at the start of a tick: an emulator's instruction is
 * not a whole number of ticks, and ticks are compared within a run only. Masked in the NVIC and not
 * in the UART, so that a byte that arrives meanwhile stays pending. */
void hb_port_quiet(bool on) {
    if (on) {
        hb_cortex_m_irq_disable(UART0_IRQ);
        counter_restart();
    } else {
        hb_cortex_m_irq_enable(UART0_IRQ);
    }
}

void hb_port_marker(bool on) {
    if (on) {
        GPIO_OUTSET = 1u << PIN_MARKER;
    } else {
        GPIO_OUTCLR = 1u << PIN_MARKER;
    }
}
