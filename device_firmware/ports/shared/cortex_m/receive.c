#include "receive.h"

#include "cortex_m.h"
#include "hb_port.h"
#include "hb_ring.h"

static struct hb_ring ring;
static volatile uint32_t lost;

void hb_receive_put(uint8_t byte) {
    hb_ring_put(&ring, byte);
}

void hb_receive_lost(void) {
    lost = lost + 1;
}

size_t hb_port_uart_read(uint8_t *out, size_t cap) {
    return hb_ring_get(&ring, out, cap);
}

uint32_t hb_port_uart_overruns(void) {
    return hb_ring_overruns(&ring) + lost;
}

/* Interrupts are masked between the look and WFI, which wakes on a pending one all the same. */
void hb_port_uart_wait(void) {
    __asm volatile("cpsid i" ::: "memory");
    if (hb_ring_empty(&ring)) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

/* Masked in the NVIC and not in the UART, so that a byte that arrives meanwhile stays pending. */
void hb_port_quiet(bool on) {
    if (on) {
        hb_cortex_m_irq_disable(HB_UART_IRQ);
    } else {
        hb_cortex_m_irq_enable(HB_UART_IRQ);
    }
}
