/* Between two edges of the marker: ldi, ldi, 1000 turns of sbiw (2 cycles) and brne (2, the last
 * 1); the same between two readings of Timer1 (lds, 2 cycles). Sends the reading, then sleeps from
 * marker to marker until Timer1 overflows. */
#include "uart.h"

EMPTY_INTERRUPT(TIMER1_OVF_vect)

int main(void) {
    uint8_t before, after_low, after_high;
    uart_start();
    DDRB = _BV(5);
    TCCR1A = 0;
    TCCR1B = _BV(CS10);
    TCNT1 = 0;
    __asm__ volatile("sbi %[port], 5 \n ldi r26, lo8(1000) \n ldi r27, hi8(1000) \n"
                     "1: sbiw r26, 1 \n brne 1b \n cbi %[port], 5"
                     :
                     : [port] "I"(_SFR_IO_ADDR(PORTB))
                     : "r26", "r27");
    TCNT1 = 0;
    __asm__ volatile("lds %0, %3 \n lds r26, %4 \n ldi r26, lo8(1000) \n ldi r27, hi8(1000) \n"
                     "1: sbiw r26, 1 \n brne 1b \n lds %1, %3 \n lds %2, %4"
                     : "=&r"(before), "=&r"(after_low), "=&r"(after_high)
                     : "n"(_SFR_MEM_ADDR(TCNT1L)), "n"(_SFR_MEM_ADDR(TCNT1H))
                     : "r26", "r27");
    uint16_t cycles = (uint16_t)((after_low | after_high << 8) - before);
    put((uint8_t)cycles);
    put((uint8_t)(cycles >> 8));
    TIMSK1 = _BV(TOIE1);
    TCNT1 = 0;
    TIFR1 = _BV(TOV1);
    sei();
    sleep_enable();
    PORTB |= _BV(5);
    sleep_cpu();
    PORTB &= (uint8_t)~_BV(5);
    put('e');
    for (;;) {
    }
}
