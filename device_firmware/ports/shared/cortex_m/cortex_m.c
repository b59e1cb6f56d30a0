/* The parts of hb_port.h that are the same on every Cortex-M: memory layout, build id, idle. */
#include "cortex_m.h"

#include "hb_port.h"

#define SYST_ENABLE_TICKINT_CPUCLOCK 7u
#define SYST_LONGEST                 0xFFFFFFu
#define BUILD_ID_NOTE_HEADER         16u /* namesz, descsz, type, "GNU\0" */

extern uint8_t hb_stack_low[], hb_stack_high[], hb_pool_start[], hb_pool_end[];
extern const uint8_t hb_build_id_note[];

void hb_port_stack(uint8_t **low, uint8_t **high) {
    *low = hb_stack_low;
    *high = hb_stack_high;
}

uint8_t *hb_port_pool(size_t *bytes) {
    *bytes = (size_t)(hb_pool_end - hb_pool_start);
    return hb_pool_start;
}

const uint8_t *hb_port_build_id(void) {
    return hb_build_id_note + BUILD_ID_NOTE_HEADER;
}

const char *hb_cortex_m_chip(void) {
    switch ((HB_SCB_CPUID >> 4) & 0xFFFu) {
    case 0xC23u:
        return "cortex-m3";
    case 0xC24u:
        return "cortex-m4";
    case 0xC27u:
        return "cortex-m7";
    case 0xD21u:
        return "cortex-m33";
    case 0xD22u:
        return "cortex-m55";
    default:
        return "cortex-m?";
    }
}

/* SysTick only wakes the core; how much time has passed is the counter's word, so an early wake-up
 * by another interrupt costs nothing. */
void hb_port_idle(uint32_t duration_us) {
    const struct hb_port_info *info = hb_port_info();
    uint64_t remaining = ((uint64_t)duration_us * info->counter_hz + 999999u) / 1000000u;
    uint32_t before = hb_port_counter();
    while (remaining > 0) {
        /* The counter and SysTick run from the same clock on all boards that share this file. */
        HB_SYST_RVR = remaining < SYST_LONGEST ? (uint32_t)remaining : SYST_LONGEST;
        HB_SYST_CVR = 0;
        HB_SYST_CSR = SYST_ENABLE_TICKINT_CPUCLOCK;
        __asm volatile("wfi" ::: "memory");
        HB_SYST_CSR = 0;
        const uint32_t now = hb_port_counter();
        const uint32_t passed = now - before;
        before = now;
        remaining = passed < remaining ? remaining - passed : 0;
    }
}
