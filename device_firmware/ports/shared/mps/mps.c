/* hb_port.h on Arm's MPS2 and MPS3 FPGA images: CMSDK UART, CMSDK timer or SSE system counter,
 * FPGAIO. Registers: Arm CMSDK TRM (DDI 0479) sections 4.2 and 4.4, SSE-300 TRM (101773) "System
 * counter".
 *
 * Runs on QEMU's models of the boards in every test; nobody ran it on the FPGA boards. */
#include "cortex_m.h"
#include "hb_port.h"
#include "hb_port_config.h"
#include "hb_protocol.h"
#include "hb_ring.h"

#define UART_DATA     HB_REG(HB_MPS_UART0 + 0x00u)
#define UART_STATE    HB_REG(HB_MPS_UART0 + 0x04u)
#define UART_CTRL     HB_REG(HB_MPS_UART0 + 0x08u)
#define UART_INTCLEAR HB_REG(HB_MPS_UART0 + 0x0Cu)
#define UART_BAUDDIV  HB_REG(HB_MPS_UART0 + 0x10u)
#define FPGAIO_LED    HB_REG(HB_MPS_FPGAIO)
#define STATE_TX_FULL (1u << 0)
#define STATE_RX_FULL (1u << 1)
#define STATE_RX_OVER (1u << 3)
#define CTRL_TX_RX    (3u << 0)
#define CTRL_RX_INT   (1u << 3)
#define INT_RX        (1u << 1)
#define UART_BAUD     115200u
#define LED_MARKER    (1u << 0)

static struct hb_ring ring;
static volatile uint32_t hardware_overruns;

void hb_cortex_m_irq(void) {
    uint32_t state;
    while (((state = UART_STATE) & STATE_RX_FULL) != 0) {
        /* Before the byte is taken: the next one may arrive, and interrupt, right after. */
        UART_INTCLEAR = INT_RX;
        hb_ring_put(&ring, (uint8_t)UART_DATA);
        if ((state & STATE_RX_OVER) != 0) {
            UART_STATE = STATE_RX_OVER;
            hardware_overruns++;
        }
    }
}

void hb_port_init(void) {
#ifdef HB_MPS_TIMER0
    HB_REG(HB_MPS_TIMER0 + 0x8u) = 0xFFFFFFFFu; /* reload */
    HB_REG(HB_MPS_TIMER0 + 0x4u) = 0xFFFFFFFFu; /* value */
    HB_REG(HB_MPS_TIMER0) = 1u;                 /* enable */
#else
    HB_REG(HB_MPS_SYSTEM_COUNTER) = 1u;          /* CNTCR.EN */
#endif
    hb_port_marker(false);
    UART_BAUDDIV = HB_MPS_CLOCK_HZ / UART_BAUD;
    UART_CTRL = CTRL_TX_RX | CTRL_RX_INT;
    hb_cortex_m_irq_enable(HB_MPS_UART0_IRQ);
    /* The receive interrupt is an edge: a byte that arrived before it was enabled never interrupts.
     */
    hb_cortex_m_irq_pend(HB_MPS_UART0_IRQ);
}

const struct hb_port_info *hb_port_info(void) {
    static struct hb_port_info info = {
        .name = HB_PORT_NAME,
        .counter_hz = HB_MPS_CLOCK_HZ,
        .counter_bits = 32,
        .clock_source = HB_CLOCK_DECLARED,
    };
    info.chip = hb_cortex_m_chip();
    return &info;
}

size_t hb_port_unique_id(char *out, size_t cap) {
    (void)out;
    (void)cap;
    return 0;
}

size_t hb_port_uart_read(uint8_t *out, size_t cap) {
    return hb_ring_get(&ring, out, cap);
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while ((UART_STATE & STATE_TX_FULL) != 0) {
        }
        UART_DATA = data[i];
    }
}

/* The UART has no "shift register empty" flag; one byte after the buffer is the rest. */
void hb_port_uart_flush(void) {
    while ((UART_STATE & STATE_TX_FULL) != 0) {
    }
}

uint32_t hb_port_uart_overruns(void) {
    return hb_ring_overruns(&ring) + hardware_overruns;
}

/* Interrupts are masked between the look and WFI, which wakes on a pending one all the same.
 * Polling instead would starve the emulator's own loop and burn a host core per board. */
void hb_port_uart_wait(void) {
    __asm volatile("cpsid i" ::: "memory");
    if (hb_ring_empty(&ring)) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

uint32_t hb_port_counter(void) {
#ifdef HB_MPS_TIMER0
    return 0xFFFFFFFFu - HB_REG(HB_MPS_TIMER0 + 0x4u);
#else
    return HB_REG(HB_MPS_SYSTEM_COUNTER + 0x8u); /* CNTCV, low word */
#endif
}

/* Lets a tick begin now. The emulator's instruction is not a whole number of ticks, so the same
 * work would take one tick more or less depending on when it began; this way it begins in phase. */
static void counter_align(void) {
#ifdef HB_MPS_TIMER0
    HB_REG(HB_MPS_TIMER0 + 0x4u) = HB_REG(HB_MPS_TIMER0 + 0x4u);
#else
    HB_REG(HB_MPS_SYSTEM_COUNTER) = 0u;
    HB_REG(HB_MPS_SYSTEM_COUNTER) = 1u;
#endif
}

/* Masked in the NVIC and not in the UART, so that a byte that arrives meanwhile stays pending. */
void hb_port_quiet(bool on) {
    if (on) {
        hb_cortex_m_irq_disable(HB_MPS_UART0_IRQ);
        counter_align();
    } else {
        hb_cortex_m_irq_enable(HB_MPS_UART0_IRQ);
    }
}

void hb_port_marker(bool on) {
    FPGAIO_LED = on ? LED_MARKER : 0u;
}
