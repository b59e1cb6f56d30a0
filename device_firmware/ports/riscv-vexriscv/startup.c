/* From reset to the command loop, and where every trap ends. */
#include "soc.h"

#include "hb_core.h"
#include "hb_port.h"

extern uint32_t hb_data_load[], hb_data_start[], hb_data_end[], hb_bss_start[], hb_bss_end[];

struct hb_fault_record hb_fault_record __attribute__((section(".noinit")));
bool hb_soc_serving;

void hb_reset_handler(void);
void hb_trap_handler(void);
void hb_boot(void);
void hb_trap_stop(uint32_t mcause, uint32_t mepc, uint32_t mtval);

__attribute__((naked, section(".reset"), used)) void hb_reset_handler(void) {
    __asm volatile(".option push\n\t"
                   ".option norelax\n\t"
                   ".option arch, +zicsr\n\t"
                   "la gp, __global_pointer$\n\t"
                   "la t0, hb_trap_handler\n\t"
                   "csrw mtvec, t0\n\t"
                   ".option pop\n\t"
                   "la sp, hb_stack_high\n\t"
                   "j hb_boot");
}

__attribute__((used, noreturn)) void hb_boot(void) {
    const uint32_t *from = hb_data_load;
    for (uint32_t *to = hb_data_start; to < hb_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = hb_bss_start; to < hb_bss_end; to++) {
        *to = 0;
    }
    hb_core_run();
    hb_port_reset();
    for (;;) {
    }
}

/* No interrupt is ever enabled, so every trap is a fault. The stack may be what broke, so the C
 * part gets a fresh one. mtvec drops the two lowest bits of the address. */
__attribute__((naked, aligned(4))) void hb_trap_handler(void) {
    __asm volatile(".option push\n\t"
                   ".option arch, +zicsr\n\t"
                   "csrr a0, mcause\n\t"
                   "csrr a1, mepc\n\t"
                   "csrr a2, mtval\n\t"
                   ".option pop\n\t"
                   "la sp, hb_stack_high\n\t"
                   "j hb_trap_stop");
}

/* Keeps the reason and resets: the HELLO that follows tells the host that the session is lost. A
 * fault during boot would reset for ever, so that one stops the board. */
__attribute__((used, noreturn)) void hb_trap_stop(uint32_t mcause, uint32_t mepc, uint32_t mtval) {
    hb_fault_record = (struct hb_fault_record){HB_FAULT_MAGIC, mcause, mepc, mtval};
    if (hb_soc_serving) {
        hb_port_reset();
    }
    SOC_HALT = mcause;
    for (;;) {
    }
}
