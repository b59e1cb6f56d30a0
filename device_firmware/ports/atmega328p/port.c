/* hb_port.h on the ATmega328P of an Arduino Uno. Registers: Microchip DS40002061B, sections 10
 * "Power Management", 16 "Timer/Counter1", 20 "USART0".
 *
 * Runs on simavr in every test; nobody ran it on an Uno yet. */
#include "hb_port.h"

#include "hb_port_config.h"
#include "hb_protocol.h"
#include "hb_ring.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <util/delay_basic.h>

#define UBRR_115200          16u /* with U2X: 117,647 baud, 2.1 % fast, as every Uno has it */
#define MARKER_BIT           PB5 /* D13, the LED */
#define BUILD_ID_NOTE_HEADER 16u /* namesz, descsz, type, "GNU\0" */
#define GUARD_PATTERN        0x5AC3u
#define CYCLES_PER_US        (F_CPU / 1000000u)

extern uint8_t hb_stack_low[], hb_stack_high[], hb_pool_start[], hb_pool_end[];
extern volatile uint16_t hb_stack_guard;
extern const HB_CONST uint8_t hb_build_id_note[];
extern const HB_CONST struct hb_resident_header hb_resident_section;

static const struct hb_port_info port_info = {
    .name = HB_PORT_NAME,
    .chip = "atmega328p",
    .counter_hz = F_CPU,
    .counter_bits = 32, /* wraps after 268 s */
    .clock_source = HB_CLOCK_DECLARED,
    .untested = true,
};

/* The header of the resident plan begins here; the rest is in image.ld, which knows the capacity.
 */
__attribute__((section(".hb_resident"), used)) static const uint32_t resident_magic =
    HB_RESIDENT_MAGIC;

static struct hb_ring ring;
static volatile uint32_t hardware_overruns;

const struct hb_port_info *hb_port_info(void) {
    return &port_info;
}

const HB_CONST uint8_t *hb_port_build_id(void) {
    return hb_build_id_note + BUILD_ID_NOTE_HEADER;
}

/* The signature row of this chip has no documented serial number (that of the 328PB has). */
size_t hb_port_unique_id(char *out, size_t cap) {
    (void)out;
    (void)cap;
    return 0;
}

/* ---- counter ----
 *
 * Timer1 counts every cycle in 16 bits; its overflow interrupt, the only one that stays on during a
 * run, extends it to 32. That interrupt is no part of an inference, so its own cycles are taken
 * out: what it takes is measured at start (82 cycles in simavr), and it adds 65,536 less that. The
 * counter is therefore one of the program's own cycles, exact however many overflows fall into an
 * inference; against the crystal it loses 0.13 %. */

static volatile uint32_t counted; /* cycles up to the last overflow that was served */
static uint32_t cycles_per_overflow = 0x10000;

ISR(TIMER1_OVF_vect) {
    counted += cycles_per_overflow;
}

/* Takes as long whether or not an overflow is pending. */
uint32_t hb_port_counter(void) {
    const uint8_t status = SREG;
    cli();
    const uint16_t now = TCNT1;
    const uint8_t flags = TIFR1;
    const uint32_t before = counted;
    SREG = status;
    /* An overflow that is not served yet happened before `now` was read if `now` is small. */
    const uint16_t unserved = (uint16_t)(flags & _BV(TOV1) & (uint8_t) ~(now >> 15));
    return before + ((uint32_t)unserved << 16 | now);
}

static uint16_t cycles_of_delay(uint16_t from) {
    TCNT1 = from;
    _delay_loop_1(64);
    return (uint16_t)(TCNT1 - from);
}

static void counter_start(void) {
    TCCR1A = 0;
    TCCR1B = _BV(CS10); /* every cycle, 0 to 65,535 */
    TIFR1 = _BV(TOV1);
    TIMSK1 = _BV(TOIE1);
    sei();
    const uint16_t alone = cycles_of_delay(0x1000);
    const uint16_t with_overflow = cycles_of_delay((uint16_t)-100);
    cycles_per_overflow -= (uint16_t)(with_overflow - alone);
}

/* ---- line ---- */

ISR(USART_RX_vect) {
    const uint8_t status = UCSR0A; /* of the byte that is read next */
    hb_ring_put(&ring, UDR0);
    if ((status & _BV(DOR0)) != 0) {
        hardware_overruns = hardware_overruns + 1;
    }
}

size_t hb_port_uart_read(uint8_t *out, size_t cap) {
    return hb_ring_get(&ring, out, cap);
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while ((UCSR0A & _BV(UDRE0)) == 0) {
        }
        UDR0 = data[i];
        /* Clears "transmit complete", for flush; before UDR0 the byte ahead could set it again. */
        UCSR0A = _BV(U2X0) | _BV(TXC0);
    }
}

/* Before the first byte TXC0 is not set, so something must have been sent. */
void hb_port_uart_flush(void) {
    while ((UCSR0A & _BV(TXC0)) == 0) {
    }
}

uint32_t hb_port_uart_overruns(void) {
    const uint8_t status = SREG;
    cli();
    const uint32_t lost = hardware_overruns;
    SREG = status;
    return hb_ring_overruns(&ring) + lost;
}

/* A stack that grew into the pool has changed data: the host must hear of it, by the HELLO that
 * follows a reset, before it hears a result. */
static void check_stack(void) {
    if (hb_stack_guard != GUARD_PATTERN) {
        hb_port_reset();
    }
}

/* Idle mode, as SMCR says after a reset: timers and USART run on.
 * The instruction after sei is executed before any interrupt, so none is slept through. */
static void sleep_now(void) {
    sleep_enable();
    sei();
    sleep_cpu();
    sleep_disable();
}

void hb_port_uart_wait(void) {
    check_stack();
    cli();
    if (hb_ring_empty(&ring)) {
        sleep_now();
    }
    sei();
}

/* ---- the rest ---- */

void hb_port_quiet(bool on) {
    if (on) {
        UCSR0B = _BV(RXEN0) | _BV(TXEN0);
    } else {
        UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
        check_stack();
    }
}

void hb_port_marker(bool on) {
    if (on) {
        PORTB |= _BV(MARKER_BIT);
    } else {
        PORTB &= (uint8_t)~_BV(MARKER_BIT);
    }
}

/* Wakes the core. */
EMPTY_INTERRUPT(TIMER1_COMPA_vect)

/* Sleeps from overflow to overflow, the last part up to a compare match; one that was missed by a
 * few cycles lets it sleep to the next overflow, and the counter says so. */
void hb_port_idle(uint32_t duration_us) {
    const uint32_t wanted = duration_us * CYCLES_PER_US; /* at most half a wrap */
    const uint32_t start = hb_port_counter();
    uint32_t passed;
    while ((passed = hb_port_counter() - start) < wanted) {
        cli();
        if (wanted - passed < 0x10000u) {
            OCR1A = (uint16_t)(TCNT1 + (uint16_t)(wanted - passed));
            TIFR1 = _BV(OCF1A);
            TIMSK1 = _BV(TOIE1) | _BV(OCIE1A);
        }
        sleep_now();
        TIMSK1 = _BV(TOIE1);
    }
}

void hb_port_reset(void) {
    wdt_enable(WDTO_15MS);
    for (;;) {
    }
}

/* After a reset by the watchdog it keeps running, with the shortest timeout. */
__attribute__((naked, used, section(".init3"))) static void watchdog_off(void) {
    MCUSR = 0;
    wdt_disable();
}

uint8_t *hb_port_pool(size_t *bytes) {
    *bytes = (size_t)(hb_pool_end - hb_pool_start);
    return hb_pool_start;
}

bool hb_port_resident(struct hb_resident *out) {
    return hb_resident_read(&hb_resident_section, out);
}

void hb_port_stack(uint8_t **low, uint8_t **high) {
    *low = hb_stack_low;
    *high = hb_stack_high;
}

void hb_port_init(void) {
    hb_stack_guard = GUARD_PATTERN;
    DDRB |= _BV(MARKER_BIT);
    hb_port_marker(false);
    counter_start(); /* before a byte can interrupt what it measures */
    UBRR0 = UBRR_115200;
    UCSR0A = _BV(U2X0);
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00); /* 8N1 */
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}
