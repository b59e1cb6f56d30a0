/* hb_port_idle() for cores with a SysTick; a port of a chip without one brings its own IDLE_SOURCE.
 */
#include "cortex_m.h"
#include "hb_port.h"

#define SYST_ENABLE_TICKINT_CPUCLOCK 7u
#define SYST_LONGEST                 0xFFFFFFu
/* With a period shorter than its own entry and return, SysTick's handler would run for ever. */
#define SYST_SHORTEST 1000u

static void sleep_at_most(uint32_t ticks) {
    HB_SYST_RVR = ticks;
    HB_SYST_CVR = 0;
    HB_SYST_CSR = SYST_ENABLE_TICKINT_CPUCLOCK;
    __asm volatile("wfi" ::: "memory");
    HB_SYST_CSR = 0;
}

/* SysTick only wakes the core; how much time has passed is the counter's word, so an early wake-up
 * by another interrupt costs nothing. Where SysTick is faster than the counter (stm32f4: twice),
 * the core sleeps in parts. */
void hb_port_idle(uint32_t duration_us) {
    const struct hb_port_info *info = hb_port_info();
    uint64_t remaining = ((uint64_t)duration_us * info->counter_hz + 999999u) / 1000000u;
    uint32_t before = hb_port_counter();
    while (remaining > 0) {
        if (remaining >= SYST_SHORTEST) {
            sleep_at_most(remaining < SYST_LONGEST ? (uint32_t)remaining : SYST_LONGEST);
        }
        const uint32_t now = hb_port_counter();
        const uint32_t passed = now - before;
        before = now;
        remaining = passed < remaining ? remaining - passed : 0;
    }
}
