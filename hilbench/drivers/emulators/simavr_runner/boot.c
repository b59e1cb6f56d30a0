/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Uno's bootloader: STK500v1 ("arduino" in avrdude) at 115200 baud in the 512 bytes
 * that an Uno reserves for it. Facts: Atmel AVR061 (STK500 protocol), ATmega328P datasheet ch. 26.
 */
#include <avr/boot.h>
#include <avr/io.h>
#include <avr/pgmspace.h>
#include <avr/wdt.h>

#ifndef HB_SIGNATURE
#define HB_SIGNATURE 0x1E950F /* ATmega328P */
#endif

enum { OK = 0x10, FAILED = 0x11, IN_SYNC = 0x14, END = 0x20, ERASED = 0xFFFF, BOOT = 0x7E00 };
enum {
    GET_PARAMETER = 0x41,
    SET_DEVICE = 0x42,
    SET_DEVICE_EXT = 0x45,
    LEAVE = 0x51,
    LOAD_ADDRESS = 0x55,
    UNIVERSAL = 0x56,
    PROGRAM_PAGE = 0x64,
    READ_PAGE = 0x74,
    READ_SIGNATURE = 0x75,
};

int main(void) __attribute__((OS_main, section(".vectors")));

static uint8_t page[SPM_PAGESIZE] __attribute__((section(".noinit")));

static __attribute__((noinline)) void put(uint8_t byte) {
    while (!(UCSR0A & _BV(UDRE0))) {
    }
    UDR0 = byte;
}

static __attribute__((noinline)) uint8_t get(void) {
    while (!(UCSR0A & _BV(RXC0))) {
    }
    wdt_reset();
    return UDR0;
}

static __attribute__((noinline)) void skip(uint8_t count) {
    while (count--)
        get();
}

static __attribute__((noinline)) void watchdog(uint8_t setting) {
    WDTCSR = _BV(WDCE) | _BV(WDE);
    WDTCSR = setting;
    wdt_reset(); /* simavr takes the new time from here */
}

static __attribute__((noinline)) void leave(void) {
    watchdog(_BV(WDE)); /* 16 ms */
    for (;;) {
    }
}

/* Without its end mark a request is none: somebody wants to talk to the program. */
static __attribute__((noinline)) void end_of_request(void) {
    if (get() != END)
        leave();
    put(IN_SYNC);
}

int main(void) {
    __asm__ volatile("clr __zero_reg__");
    uint8_t cause = MCUSR;
    MCUSR = 0;
    watchdog(0);
    if (pgm_read_word(0) != ERASED) {
        if (!(cause & _BV(EXTRF)))
            __asm__ volatile("jmp 0");
        watchdog(_BV(WDE) | _BV(WDP2) | _BV(WDP1)); /* 1 s of silence */
    }
    UBRR0L = 16; /* 117647 baud, 2.1 % fast, like every Uno at "115200" */
    UCSR0A = _BV(U2X0);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0);

    uint16_t address = 0;
    for (;;) {
        uint8_t request = get(), status = OK;
        if (request == GET_PARAMETER) {
            skip(1);
            end_of_request();
            put(4); /* also as version: as old as Optiboot 4 */
        } else if (request == SET_DEVICE) {
            skip(20);
            end_of_request();
        } else if (request == SET_DEVICE_EXT) {
            skip(5);
            end_of_request();
        } else if (request == LOAD_ADDRESS) {
            address = get();
            address |= (uint16_t)(get() << 8);
            address <<= 1; /* words on the wire */
            end_of_request();
        } else if (request == UNIVERSAL) {
            skip(4);
            end_of_request();
            put(0);
        } else if (request == PROGRAM_PAGE || request == READ_PAGE) {
            skip(1);
            uint8_t count = get(), memory = get();
            if (request == READ_PAGE) {
                end_of_request();
                do
                    put(pgm_read_byte(address++));
                while (--count);
            } else {
                for (uint8_t i = 0; i < count; i++)
                    page[i % SPM_PAGESIZE] = get();
                end_of_request();
                if (memory == 'F' && address < BOOT) {
                    boot_page_erase(address);
                    boot_spm_busy_wait();
                    for (uint8_t i = 0; i < count; i += 2)
                        boot_page_fill(address + i, page[i] | (uint16_t)page[i + 1] << 8);
                    boot_page_write(address);
                    boot_spm_busy_wait();
                    boot_rww_enable();
                } else {
                    status = FAILED;
                }
            }
        } else if (request == READ_SIGNATURE) {
            end_of_request();
            put((uint8_t)(HB_SIGNATURE >> 16));
            put((uint8_t)(HB_SIGNATURE >> 8));
            put((uint8_t)HB_SIGNATURE);
        } else if (request == LEAVE) {
            end_of_request();
            put(OK);
            leave();
        } else {
            end_of_request();
        }
        put(status);
    }
}
