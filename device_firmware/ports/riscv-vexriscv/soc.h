/* Registers of the board around the core; hilbench/drivers/emulators/verilator_soc/README.md says
 * what they do. From 0x80000000 up the core caches nothing. */
#ifndef HB_SOC_H
#define HB_SOC_H

#include <stdbool.h>
#include <stdint.h>

#define SOC_REG(offset) (*(volatile uint32_t *)(uintptr_t)(0xF0000000u + (offset)))

#define SOC_UART_DATA  SOC_REG(0x00u)
#define SOC_UART_WAIT  SOC_REG(0x04u)
#define SOC_UART_FLUSH SOC_REG(0x08u)
#define SOC_COUNTER    SOC_REG(0x0Cu)
#define SOC_MARKER     SOC_REG(0x10u)
#define SOC_SLEEP      SOC_REG(0x14u)
#define SOC_RESET      SOC_REG(0x18u)
#define SOC_HALT       SOC_REG(0x1Cu)

#define SOC_WAIT_BYTES  0xFFFFu
#define SOC_WAIT_PROBED (1u << 31)

/* The last fault, kept across a reset, for whoever looks with a probe: symbol hb_fault_record. */
#define HB_FAULT_MAGIC 0x48424654u

struct hb_fault_record {
    uint32_t magic;
    uint32_t mcause;
    uint32_t mepc;
    uint32_t mtval;
};

/* Set once boot is over, i.e. when the port first waits for the host. */
extern bool hb_soc_serving;

#endif
