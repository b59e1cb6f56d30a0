/* After the first byte looks away for 20 frames, then sends: status, byte, status, byte, ... */
#include "uart.h"

#include <util/delay.h>

int main(void) {
    uart_start();
    put('r');
    get();
    _delay_us(20 * 87);
    uint8_t seen[12], count = 0, status;
    while ((status = UCSR0A) & _BV(RXC0)) {
        seen[count++] = status & (_BV(RXC0) | _BV(DOR0));
        seen[count++] = UDR0;
    }
    for (uint8_t i = 0; i < count; i++) {
        put(seen[i]);
    }
    put('e');
    for (;;) {
    }
}
