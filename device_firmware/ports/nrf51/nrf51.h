/* Registers of the nRF51 that this port uses. Ref: nRF51 Series Reference Manual 3.0, chapters
 * "CLOCK", "FICR", "GPIO", "TIMER", "UART". */
#ifndef HB_NRF51_H
#define HB_NRF51_H

#include "cortex_m.h"

#define CLOCK_HFCLKSTART   HB_REG(0x40000000u)
#define CLOCK_HFCLKSTARTED HB_REG(0x40000100u)

#define UART0_IRQ        2u
#define UART_STARTRX     HB_REG(0x40002000u)
#define UART_STARTTX     HB_REG(0x40002008u)
#define UART_RXDRDY      HB_REG(0x40002108u)
#define UART_TXDRDY      HB_REG(0x4000211Cu)
#define UART_ERROR       HB_REG(0x40002124u)
#define UART_INTENSET    HB_REG(0x40002304u)
#define UART_ERRORSRC    HB_REG(0x40002480u)
#define UART_ENABLE      HB_REG(0x40002500u)
#define UART_PSELTXD     HB_REG(0x4000250Cu)
#define UART_PSELRXD     HB_REG(0x40002514u)
#define UART_RXD         HB_REG(0x40002518u)
#define UART_TXD         HB_REG(0x4000251Cu)
#define UART_BAUDRATE    HB_REG(0x40002524u)
#define UART_INT_RXDRDY  (1u << 2)
#define UART_OVERRUN     (1u << 0)
#define UART_ENABLED     4u
#define UART_BAUD_115200 0x01D7E000u

#define TIMER0_IRQ         8u
#define TIMER_START        HB_REG(0x40008000u)
#define TIMER_STOP         HB_REG(0x40008004u)
#define TIMER_CLEAR        HB_REG(0x4000800Cu)
#define TIMER_CAPTURE0     HB_REG(0x40008040u)
#define TIMER_COMPARE1     HB_REG(0x40008144u)
#define TIMER_INTENSET     HB_REG(0x40008304u)
#define TIMER_INTENCLR     HB_REG(0x40008308u)
#define TIMER_BITMODE      HB_REG(0x40008508u)
#define TIMER_PRESCALER    HB_REG(0x40008510u)
#define TIMER_CC0          HB_REG(0x40008540u)
#define TIMER_CC1          HB_REG(0x40008544u)
#define TIMER_BITMODE_32   3u
#define TIMER_INT_COMPARE1 (1u << 17)

#define FICR_DEVICEID0 HB_REG(0x10000060u)
#define FICR_DEVICEID1 HB_REG(0x10000064u)

#define GPIO_OUTSET       HB_REG(0x50000508u)
#define GPIO_OUTCLR       HB_REG(0x5000050Cu)
#define GPIO_DIRSET       HB_REG(0x50000518u)
#define GPIO_PIN_CNF(pin) HB_REG(0x50000700u + 4u * (pin))
#define PIN_INPUT_PULL_UP (3u << 2) /* connects the input buffer, too */

#endif
