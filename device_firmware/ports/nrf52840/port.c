/* hb_port.h on a Nordic nRF52840.
 *
 * Nobody has run this port yet. The counter is TIMER1 at 16 MHz and not the processor's cycle
 * counter at 64 MHz, because that one stands still in sleep: a tick is four cycles. */
#include "hb_port.h"
#include "hb_port_config.h"
#include "hb_protocol.h"
#include "hex.h"
#include "nrf52840.h"
#include "receive.h"

#define COUNTER_HZ         16000000u
#define PART               0x52840u
#define CRYSTAL_WAIT_TURNS 200000u /* above 10 ms; the crystal takes below 1 ms */

extern uint8_t HB_FLASH_ORIGIN[]; /* a symbol of the linker: its address is what it says */

static bool crystal_runs; /* else 64 MHz come from an RC oscillator of some percent */
static bool sending;

static bool crystal_start(void) {
    CLOCK_HFCLKSTART = 1;
    for (uint32_t turn = 0; turn < CRYSTAL_WAIT_TURNS; turn++) {
        if ((CLOCK_HFCLKSTAT & HFCLKSTAT_CRYSTAL_RUNS) == HFCLKSTAT_CRYSTAL_RUNS) {
            return true;
        }
    }
    return false;
}

/* RXDRDY is cleared before the byte is taken: taking it raises the event for the next of the six
 * that the UART holds. TIMER1 interrupts only while hb_port_idle() has them masked. */
void hb_cortex_m_irq(void) {
    while (UART_RXDRDY != 0) {
        UART_RXDRDY = 0;
        hb_receive_put((uint8_t)UART_RXD);
    }
    if (UART_ERROR != 0) {
        const uint32_t source = UART_ERRORSRC;
        UART_ERROR = 0;
        UART_ERRORSRC = source;
        if ((source & ERRORSRC_OVERRUN) != 0) {
            hb_receive_lost();
        }
    }
}

static void pins_start(void) {
    hb_port_marker(false);
    GPIO_PIN_CNF(HB_MARKER) = PIN_CNF_OUTPUT;
    GPIO_OUTSET(HB_UART_TX) = GPIO_BIT(HB_UART_TX);
    GPIO_PIN_CNF(HB_UART_TX) = PIN_CNF_OUTPUT;
    GPIO_PIN_CNF(HB_UART_RX) = PIN_CNF_INPUT_PULLED_UP;
}

void hb_port_init(void) {
    /* A bootloader starts the image with its own vectors in force. */
    SCB_VTOR = (uint32_t)(uintptr_t)HB_FLASH_ORIGIN;
    /* Later revisions lock the debug port at every reset unless the firmware says this. */
    APPROTECT_DISABLE = APPROTECT_SW_DISABLE;
    NVMC_ICACHECNF = ICACHECNF_CACHEEN;
    POWER_DCDCEN = 1; /* both boards carry the inductor */
    crystal_runs = crystal_start();
    TIMER_BITMODE = TIMER_BITMODE_32;
    TIMER_PRESCALER = 0;
    TIMER_START = 1;
    pins_start();
    UART_PSEL_TXD = HB_UART_TX;
    UART_PSEL_RXD = HB_UART_RX;
    UART_BAUDRATE = UART_BAUD_115200;
    UART_ENABLE = UART_ENABLED;
    UART_INTENSET = UART_INT_RXDRDY_ERROR;
    UART_STARTTX = 1;
    UART_STARTRX = 1;
    hb_cortex_m_irq_enable(HB_UART_IRQ);
}

const struct hb_port_info *hb_port_info(void) {
    static struct hb_port_info info = {
        .name = HB_PORT_NAME,
        .counter_hz = COUNTER_HZ,
        .counter_bits = 32,
        .untested = true,
    };
    info.chip = FICR_INFO_PART == PART ? "nrf52840" : "nrf?";
    info.clock_source = crystal_runs ? HB_CLOCK_REGISTER : HB_CLOCK_DECLARED;
    return &info;
}

size_t hb_port_unique_id(char *out, size_t cap) {
    const size_t length = hb_hex(out, cap, FICR_DEVICEID(1u));
    return length + hb_hex(out + length, cap - length, FICR_DEVICEID(0u));
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        hb_port_uart_flush();
        UART_TXDRDY = 0;
        sending = true;
        UART_TXD = data[i];
    }
}

void hb_port_uart_flush(void) {
    while (sending && UART_TXDRDY == 0) {
    }
}

uint32_t hb_port_counter(void) {
    TIMER_CAPTURE0 = 1;
    return TIMER_CC0;
}

void hb_port_marker(bool on) {
    if (on) {
        GPIO_OUTSET(HB_MARKER) = GPIO_BIT(HB_MARKER);
    } else {
        GPIO_OUTCLR(HB_MARKER) = GPIO_BIT(HB_MARKER);
    }
}
