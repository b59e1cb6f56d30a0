/* From reset to the command loop, and where every fault ends. */
#include "cortex_m.h"

#include "hb_core.h"
#include "hb_port.h"

#ifdef __ARM_ARCH_6M__
#define NVIC_LINES 32u
#else
#define NVIC_LINES 96u
#endif
#define CPACR_CP10_CP11   (0xFu << 20)
#define CCR_LOW_OVERHEAD  (1u << 19)
#define AIRCR_SYSRESETREQ 0x05FA0004u

extern uint32_t hb_data_load[], hb_data_start[], hb_data_end[], hb_bss_start[], hb_bss_end[];
extern uint8_t hb_stack_low[], hb_stack_high[];

struct hb_fault_record hb_fault_record __attribute__((section(".noinit")));
/* Boot is over. The first wait for the host would be too late a sign: a host that asks at once can
 * have its requests answered before the core ever waits. */
static volatile bool serving;

void hb_reset_handler(void);
void hb_fault_handler(void);
void hb_fault_stop(const uint32_t *stacked);
void hb_systick_handler(void);

/* Wakes WFI; hb_port_idle() looks at the counter. */
void hb_systick_handler(void) {}

typedef void (*hb_vector)(void);

/* Designated ranges are GNU C; a vector table by hand has one line per interrupt. */
__extension__ __attribute__((section(".vectors"), used)) static const hb_vector vectors[] = {
    [0] = (hb_vector)(uintptr_t)hb_stack_high,
    [1] = hb_reset_handler,
    [2 ... 14] = hb_fault_handler,
    [15] = hb_systick_handler,
    [16 ... 16 + NVIC_LINES - 1] = hb_cortex_m_irq,
};

/* Apart from the reset handler, so that no FPU instruction is scheduled before CPACR is written. */
__attribute__((noinline, noreturn)) static void run(void) {
    const uint32_t *from = hb_data_load;
    for (uint32_t *to = hb_data_start; to < hb_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = hb_bss_start; to < hb_bss_end; to++) {
        *to = 0;
    }
    hb_core_init();
    serving = true;
    for (;;) {
        if (!hb_core_poll()) {
            hb_port_uart_wait();
        }
    }
}

void hb_reset_handler(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    HB_SCB_CPACR |= CPACR_CP10_CP11;
#endif
#if defined(__ARM_FEATURE_MVE)
    HB_SCB_CCR |= CCR_LOW_OVERHEAD;
#endif
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
    __asm volatile("msr msplim, %0" ::"r"(hb_stack_low));
#endif
    hb_cortex_m_barrier();
    run();
}

/* The stack may be what broke, so the C part gets a fresh one. */
__attribute__((naked)) void hb_fault_handler(void) {
    __asm volatile("mrs r0, msp\n\t"
                   "ldr r1, =hb_stack_high\n\t"
                   "mov sp, r1\n\t"
                   "ldr r1, =hb_fault_stop\n\t"
                   "bx r1");
}

/* Keeps the reason and resets: the HELLO that follows a reset tells the host at once that the
 * session is lost. A fault during boot would reset for ever, so that one stays asleep. */
__attribute__((used, noreturn)) void hb_fault_stop(const uint32_t *stacked) {
    const uintptr_t at = (uintptr_t)stacked;
    const bool usable = at >= (uintptr_t)hb_stack_low && at + 32u <= (uintptr_t)hb_stack_high;
    hb_fault_record = (struct hb_fault_record){
        .magic = HB_FAULT_MAGIC,
        .exception = HB_SCB_ICSR & 0x1FFu,
        .pc = usable ? stacked[6] : 0,
        .lr = usable ? stacked[5] : 0,
#ifndef __ARM_ARCH_6M__ /* no fault status on a Cortex-M0: these stay 0 */
        .cfsr = HB_SCB_CFSR,
        .hfsr = HB_SCB_HFSR,
        .mmfar = HB_SCB_MMFAR,
        .bfar = HB_SCB_BFAR,
#endif
    };
    if (serving) {
        hb_port_reset();
    }
    for (;;) {
        __asm volatile("cpsid i\n\twfi");
    }
}

void hb_port_reset(void) {
    hb_cortex_m_barrier();
    HB_SCB_AIRCR = AIRCR_SYSRESETREQ;
    hb_cortex_m_barrier();
    for (;;) {
    }
}
