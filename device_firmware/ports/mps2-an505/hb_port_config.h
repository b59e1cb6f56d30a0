/* Arm MPS2+ with AN505 (DAI 0505): Cortex-M33, secure aliases. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#include "mps_config.h"

#define HB_MPS_UART0     0x50200000u
#define HB_MPS_UART0_IRQ 32u
#define HB_MPS_FPGAIO    0x50302000u
#define HB_MPS_TIMER0    0x50000000u
#define HB_MPS_CLOCK_HZ  20000000u

#endif
