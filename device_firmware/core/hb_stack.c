#include "hb_stack.h"

#include "hb_port.h"

#define PAINT 0xa5u
/* Below the frame of hb_stack_paint() itself: a red zone of 128 bytes (x86-64) may be in use. */
#define MARGIN_BYTES 160u

void hb_stack_paint(void) {
    uint8_t *low, *high;
    volatile uint8_t here = 0;
    hb_port_stack(&low, &high);
    uintptr_t end = (uintptr_t)&here;
    if (end < (uintptr_t)low || end > (uintptr_t)high) {
        end = (uintptr_t)high; /* the core runs on another stack, as in host tests */
    } else {
        end = end - (uintptr_t)low > MARGIN_BYTES ? end - MARGIN_BYTES : (uintptr_t)low;
    }
    /* volatile: the compiler must not make this a call to memset, whose frame it would paint. */
    for (volatile uint8_t *at = low; (uintptr_t)at < end; ++at) {
        *at = PAINT;
    }
}

uint32_t hb_stack_bytes(void) {
    uint8_t *low, *high;
    hb_port_stack(&low, &high);
    return (uint32_t)(high - low);
}

uint32_t hb_stack_used_bytes(void) {
    uint8_t *low, *high;
    hb_port_stack(&low, &high);
    const volatile uint8_t *at = low;
    while (at < high && *at == PAINT) {
        ++at;
    }
    return (uint32_t)(high - at);
}
