/* hb_port_idle() on TIMER1's second compare register. */
#include "hb_port.h"
#include "nrf52840.h"

#define FPU_IRQ        38u
#define SHORTEST_TICKS 64u /* less could have passed before the compare register is written */
#define LONGEST_TICKS  0x40000000u

/* Anomaly 87: a pending FPU exception keeps the chip from sleeping. */
static void forget_fpu_exceptions(void) {
    __asm volatile("vmsr fpscr, %0" ::"r"(0u));
    hb_cortex_m_irq_forget(FPU_IRQ);
}

/* Interrupts are masked around the sleep: WFI wakes on a pending one, and none can delay the write
 * of the compare register until its moment has passed. */
static void sleep_at_most(uint32_t ticks) {
    __asm volatile("cpsid i" ::: "memory");
    TIMER_COMPARE1 = 0;
    TIMER_CC1 = hb_port_counter() + ticks;
    TIMER_INTENSET = TIMER_INT_COMPARE1;
    hb_cortex_m_irq_enable(TIMER1_IRQ);
    __asm volatile("wfi" ::: "memory");
    TIMER_INTENCLR = TIMER_INT_COMPARE1;
    TIMER_COMPARE1 = 0;
    (void)TIMER_COMPARE1; /* the write has arrived */
    hb_cortex_m_irq_disable(TIMER1_IRQ);
    hb_cortex_m_irq_forget(TIMER1_IRQ);
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

void hb_port_idle(uint32_t duration_us) {
    uint64_t remaining = (uint64_t)duration_us * (hb_port_info()->counter_hz / 1000000u);
    uint32_t before = hb_port_counter();
    forget_fpu_exceptions();
    while (remaining > 0) {
        if (remaining >= SHORTEST_TICKS) {
            sleep_at_most(remaining < LONGEST_TICKS ? (uint32_t)remaining : LONGEST_TICKS);
        }
        const uint32_t now = hb_port_counter();
        const uint32_t passed = now - before;
        before = now;
        remaining = passed < remaining ? remaining - passed : 0;
    }
}
