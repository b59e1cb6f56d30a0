/* Arm MPS2 with AN500 (DAI 0500): Cortex-M7. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#include "mps_config.h"

#define HB_MPS_UART0     0x40004000u
#define HB_MPS_UART0_IRQ 0u
#define HB_MPS_FPGAIO    0x40028000u
#define HB_MPS_TIMER0    0x40000000u
#define HB_MPS_CLOCK_HZ  25000000u

#endif
