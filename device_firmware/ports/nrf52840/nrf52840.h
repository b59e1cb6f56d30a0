/* Registers of the nRF52840 that this port uses: nRF52840 Product Specification 1.7, chapters as
 * named. */
#ifndef HB_NRF52840_H
#define HB_NRF52840_H

#include "cortex_m.h"

#define SCB_VTOR HB_REG(0xE000ED08u)

/* CLOCK, POWER */
#define CLOCK_HFCLKSTART       HB_REG(0x40000000u)
#define CLOCK_HFCLKSTAT        HB_REG(0x4000040Cu)
#define HFCLKSTAT_CRYSTAL_RUNS (1u << 0 | 1u << 16)
#define POWER_DCDCEN           HB_REG(0x40000578u)
/* "Access port protection" */
#define APPROTECT_DISABLE    HB_REG(0x40000558u)
#define APPROTECT_SW_DISABLE 0x5Au
/* NVMC */
#define NVMC_ICACHECNF    HB_REG(0x4001E540u)
#define ICACHECNF_CACHEEN (1u << 0)
/* FICR */
#define FICR_DEVICEID(word) HB_REG(0x10000060u + 4u * (word))
#define FICR_INFO_PART      HB_REG(0x10000100u)

/* UART, the one without DMA: a byte costs an interrupt, and memory is touched by the core alone */
#define UART_STARTRX          HB_REG(0x40002000u)
#define UART_STARTTX          HB_REG(0x40002008u)
#define UART_RXDRDY           HB_REG(0x40002108u)
#define UART_TXDRDY           HB_REG(0x4000211Cu)
#define UART_ERROR            HB_REG(0x40002124u)
#define UART_INTENSET         HB_REG(0x40002304u)
#define UART_ERRORSRC         HB_REG(0x40002480u)
#define UART_ENABLE           HB_REG(0x40002500u)
#define UART_PSEL_TXD         HB_REG(0x4000250Cu)
#define UART_PSEL_RXD         HB_REG(0x40002514u)
#define UART_RXD              HB_REG(0x40002518u)
#define UART_TXD              HB_REG(0x4000251Cu)
#define UART_BAUDRATE         HB_REG(0x40002524u)
#define UART_INT_RXDRDY_ERROR (1u << 2 | 1u << 9)
#define UART_ENABLED          4u
#define UART_BAUD_115200      0x01D7E000u
#define ERRORSRC_OVERRUN      (1u << 0)

/* TIMER, number 1: number 0 belongs to the radio */
#define TIMER1_IRQ         9u
#define TIMER_START        HB_REG(0x40009000u)
#define TIMER_CAPTURE0     HB_REG(0x40009040u)
#define TIMER_COMPARE1     HB_REG(0x40009144u)
#define TIMER_INTENSET     HB_REG(0x40009304u)
#define TIMER_INTENCLR     HB_REG(0x40009308u)
#define TIMER_BITMODE      HB_REG(0x40009508u)
#define TIMER_PRESCALER    HB_REG(0x40009510u)
#define TIMER_CC0          HB_REG(0x40009540u)
#define TIMER_CC1          HB_REG(0x40009544u)
#define TIMER_BITMODE_32   3u
#define TIMER_INT_COMPARE1 (1u << 17)

/* GPIO; pin is 32 * port + number */
#define GPIO_BASE(pin)          (0x50000000u + 0x300u * ((pin) / 32u))
#define GPIO_BIT(pin)           (1u << ((pin) % 32u))
#define GPIO_OUTSET(pin)        HB_REG(GPIO_BASE(pin) + 0x508u)
#define GPIO_OUTCLR(pin)        HB_REG(GPIO_BASE(pin) + 0x50Cu)
#define GPIO_PIN_CNF(pin)       HB_REG(GPIO_BASE(pin) + 0x700u + 4u * ((pin) % 32u))
#define PIN_CNF_OUTPUT          (1u << 0 | 1u << 1) /* input buffer disconnected */
#define PIN_CNF_INPUT_PULLED_UP (3u << 2)

#endif
