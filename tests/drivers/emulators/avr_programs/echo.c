/* Says 'r', then sends back what it gets; sleeps in between. */
#include "uart.h"

static volatile uint8_t ring[256], head, tail;

ISR(USART_RX_vect) {
    ring[head++] = UDR0;
}

int main(void) {
    uart_start();
    UCSR0B |= _BV(RXCIE0);
    put('r');
    for (;;) {
        cli();
        while (head == tail) {
            sleep_enable();
            sei();
            sleep_cpu();
            cli();
        }
        sei();
        put(ring[tail++]);
    }
}
