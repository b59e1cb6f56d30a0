/* Arm MPS2 with AN386 (DAI 0386): Cortex-M4. */
#ifndef HB_AN386_H
#define HB_AN386_H

#include "mps_config.h"

#define HB_MPS_UART0     0x40004000u
#define HB_MPS_UART0_IRQ 0u
#define HB_MPS_FPGAIO    0x40028000u
#define HB_MPS_TIMER0    0x40000000u
#define HB_MPS_CLOCK_HZ  25000000u

#endif
