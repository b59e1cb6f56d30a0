/* The parts of hb_port.h that are the same on every Cortex-M: memory layout, build id, chip. */
#include "cortex_m.h"

#include "hb_port.h"

#define BUILD_ID_NOTE_HEADER 16u /* namesz, descsz, type, "GNU\0" */

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
    case 0xC20u:
        return "cortex-m0";
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
