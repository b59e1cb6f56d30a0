/* hb_port_idle() on the timer's first alarm: SysTick is part of the counter. */
#include "hb_port.h"
#include "rp2040.h"

#define SHORTEST_US                                                                                \
    4u /* less could have passed before the alarm is written: it matches by equality */
#define LONGEST_US 0x40000000u

/* Interrupts are masked around the sleep: WFI wakes on a pending one, and none can delay the write
 * of the alarm until its moment has passed. */
static void sleep_at_most(uint32_t duration_us) {
    __asm volatile("cpsid i" ::: "memory");
    TIMER_INTE = TIMER_ALARM0_BIT;
    TIMER_ALARM0 = TIMER_RAWL + duration_us;
    hb_cortex_m_irq_enable(TIMER_IRQ_0);
    __asm volatile("wfi" ::: "memory");
    TIMER_ARMED = TIMER_ALARM0_BIT;
    TIMER_INTE = 0;
    TIMER_INTR = TIMER_ALARM0_BIT;
    hb_cortex_m_irq_disable(TIMER_IRQ_0);
    hb_cortex_m_irq_forget(TIMER_IRQ_0);
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

void hb_port_idle(uint32_t duration_us) {
    const uint32_t ticks_per_us = hb_port_info()->counter_hz / 1000000u;
    uint64_t remaining = (uint64_t)duration_us * ticks_per_us;
    uint32_t before = hb_port_counter();
    while (remaining > 0) {
        const uint64_t left_us = remaining / ticks_per_us;
        if (left_us >= SHORTEST_US) {
            sleep_at_most(left_us < LONGEST_US ? (uint32_t)left_us : LONGEST_US);
        }
        const uint32_t now = hb_port_counter();
        const uint32_t passed = now - before;
        before = now;
        remaining = passed < remaining ? remaining - passed : 0;
    }
}
