/* Says why it was reset, and how often it ran by SRAM and by EEPROM; then any byte makes the
 * watchdog bite. */
#include "uart.h"

#include <avr/eeprom.h>
#include <avr/wdt.h>

static uint8_t runs __attribute__((section(".noinit")));

int main(void) {
    uint8_t cause = MCUSR;
    MCUSR = 0;
    wdt_disable();
    if (cause & _BV(PORF)) {
        runs = 0;
    }
    runs++;
    uint8_t kept = eeprom_read_byte((uint8_t *)7) + 1; /* erased: 0xFF */
    eeprom_write_byte((uint8_t *)7, kept);
    uart_start();
    put(cause);
    put(runs);
    put(kept);
    get();
    wdt_enable(WDTO_15MS);
    for (;;) {
    }
}
