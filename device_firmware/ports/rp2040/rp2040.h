/* Registers of the RP2040 that this port uses: RP2040 datasheet, "List of Registers" of the section
 * that is named. Writes at +0x2000 set bits, at +0x3000 clear them ("Atomic Register Access"). */
#ifndef HB_RP2040_H
#define HB_RP2040_H

#include "cortex_m.h"

#define HB_SET(address)   HB_REG((address) + 0x2000u)
#define HB_CLEAR(address) HB_REG((address) + 0x3000u)

/* SYSINFO */
#define SYSINFO_CHIP_ID    HB_REG(0x40000000u)
#define CHIP_ID_PART_MAKER 0x0FFFFFFFu /* the top four bits are the revision */
#define CHIP_ID_RP2040     0x00002927u
/* Clocks */
#define CLK_REF_CTRL     0x40008030u
#define CLK_REF_SELECTED HB_REG(0x40008038u)
#define CLK_SYS_CTRL     0x4000803Cu
#define CLK_SYS_SELECTED HB_REG(0x40008044u)
#define CLK_PERI_CTRL    0x40008048u
#define CLK_REF_SRC      3u
#define CLK_REF_SRC_XOSC 2u
#define CLK_SYS_SRC_AUX  1u         /* AUXSRC 0 is the system PLL */
#define CLK_PERI_ENABLE  (1u << 11) /* AUXSRC 0 is the processor's clock */
/* Subsystem resets */
#define RESETS_RESET     0x4000C000u
#define RESETS_DONE      HB_REG(0x4000C008u)
#define RESET_IO_BANK0   (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS    (1u << 12)
#define RESET_TIMER      (1u << 21)
#define RESET_UART0      (1u << 22)
/* GPIO: IO_BANK0, PADS_BANK0, SIO */
#define GPIO_CTRL(pin)      HB_REG(0x40014004u + 8u * (pin))
#define PAD(pin)            HB_REG(0x4001C004u + 4u * (pin))
#define FUNCTION_UART       2u
#define FUNCTION_SIO        5u
#define PAD_INPUT_PULLED_UP (1u << 1 | 1u << 3 | 1u << 6) /* SCHMITT, PUE, IE */
#define SIO_OUT_SET         HB_REG(0xD0000014u)
#define SIO_OUT_CLR         HB_REG(0xD0000018u)
#define SIO_OE_SET          HB_REG(0xD0000024u)
/* XOSC */
#define XOSC_CTRL           HB_REG(0x40024000u)
#define XOSC_STATUS         HB_REG(0x40024004u)
#define XOSC_STARTUP        HB_REG(0x4002400Cu)
#define XOSC_ENABLE_1_15MHZ 0x00FABAA0u
#define XOSC_STABLE         (1u << 31)
/* PLL */
#define PLL_CS            HB_REG(0x40028000u)
#define PLL_PWR           0x40028004u
#define PLL_FBDIV         HB_REG(0x40028008u)
#define PLL_PRIM          HB_REG(0x4002800Cu)
#define PLL_LOCK          (1u << 31)
#define PLL_PWR_PD        (1u << 0)
#define PLL_PWR_POSTDIVPD (1u << 3)
#define PLL_PWR_VCOPD     (1u << 5)
/* UART: an Arm PL011 */
#define UART_DR             HB_REG(0x40034000u)
#define UART_FR             HB_REG(0x40034018u)
#define UART_IBRD           HB_REG(0x40034024u)
#define UART_FBRD           HB_REG(0x40034028u)
#define UART_LCR_H          HB_REG(0x4003402Cu)
#define UART_CR             HB_REG(0x40034030u)
#define UART_IFLS           HB_REG(0x40034034u)
#define UART_IMSC           HB_REG(0x40034038u)
#define DR_OVERRUN          (1u << 11)
#define FR_BUSY             (1u << 3)
#define FR_RX_EMPTY         (1u << 4)
#define FR_TX_FULL          (1u << 5)
#define LCR_H_8_BITS_FIFO   (3u << 5 | 1u << 4)
#define CR_ENABLE_TX_RX     (1u << 0 | 1u << 8 | 1u << 9)
#define IMSC_RX_AND_TIMEOUT (1u << 4 | 1u << 6)
/* Timer */
#define TIMER_IRQ_0      0u
#define TIMER_ALARM0     HB_REG(0x40054010u)
#define TIMER_ARMED      HB_REG(0x40054020u)
#define TIMER_RAWL       HB_REG(0x40054028u)
#define TIMER_INTR       HB_REG(0x40054034u)
#define TIMER_INTE       HB_REG(0x40054038u)
#define TIMER_ALARM0_BIT (1u << 0)
/* Watchdog: its tick is the timer's */
#define WATCHDOG_TICK        HB_REG(0x4005802Cu)
#define WATCHDOG_TICK_ENABLE (1u << 9)

#endif
