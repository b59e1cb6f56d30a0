/* Arm MPS3 with AN547 (DAI 0547): Cortex-M55, secure aliases. */
#ifndef HB_PORT_CONFIG_H
#define HB_PORT_CONFIG_H

#include "mps_config.h"

#define HB_MPS_UART0          0x59303000u
#define HB_MPS_UART0_IRQ      33u
#define HB_MPS_FPGAIO         0x59302000u
#define HB_MPS_SYSTEM_COUNTER 0x58100000u
#define HB_MPS_CLOCK_HZ       32000000u

#endif
