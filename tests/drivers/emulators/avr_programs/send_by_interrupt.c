/* Sends 0 to 255 by the "data register empty" interrupt, then sleeps without interrupts. */
#include "uart.h"

static volatile uint8_t next, done;

ISR(USART_UDRE_vect) {
    UDR0 = next++;
    if (next == 0) {
        UCSR0B &= (uint8_t)~_BV(UDRIE0);
        done = 1;
    }
}

int main(void) {
    uart_start();
    UCSR0B |= _BV(UDRIE0);
    sei();
    while (!done) {
    }
    while (!(UCSR0A & _BV(TXC0))) {
    }
    cli();
    sleep_enable();
    sleep_cpu();
    for (;;) {
    }
}
