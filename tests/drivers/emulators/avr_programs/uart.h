/* UART0 as every Uno has it at "115200": 117,647 baud. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

static void uart_start(void) {
    UBRR0 = 16;
    UCSR0A = _BV(U2X0);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0);
}

static __attribute__((unused)) void put(uint8_t byte) {
    while (!(UCSR0A & _BV(UDRE0))) {
    }
    UDR0 = byte;
}

static __attribute__((unused)) uint8_t get(void) {
    while (!(UCSR0A & _BV(RXC0))) {
    }
    return UDR0;
}
