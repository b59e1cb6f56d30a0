/* hb_port.h on an RP2040.
 *
 * Nobody has run this port on a board yet; it runs on the emulator rp2040js.
 *
 * The chip has no 32-bit counter of cycles: SysTick has 24 bits, which wrap after 134 ms, and the
 * timer counts microseconds. Both come from one crystal, 125 cycles a microsecond exactly, so the
 * timer says which turn of SysTick this is. */
#include "hb_port.h"
#include "hb_port_config.h"
#include "hb_protocol.h"
#include "receive.h"
#include "rp2040.h"

#define CLOCK_HZ      125000000u
#define CYCLES_PER_US (CLOCK_HZ / 1000000u)
/* "PLL: Programming": 12 MHz * 125 = 1500 MHz, / 6 / 2 */
#define PLL_FEEDBACK   (1500000000u / HB_XOSC_HZ)
#define PLL_POST_DIVS  (6u << 16 | 2u << 12)
#define XOSC_DELAY     ((HB_XOSC_HZ / 1000u + 128u) / 256u) /* 1 ms */
#define SYSTICK_MASK   0xFFFFFFu
#define SYSTICK_SIGN   0x800000u
#define SYST_CPU_CLOCK 5u /* enabled, processor clock, no interrupt */
#define USED_BLOCKS    (RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_PLL_SYS | RESET_TIMER | RESET_UART0)
/* A turn takes some 8 cycles of the 1.8 to 12 MHz ring oscillator: 100 ms or more. */
#define LONGEST_WAIT_TURNS 150000u

/* How far clock_start() came. Without the crystal there is no baud rate to speak at, so the board
 * stays asleep in the state that a probe reads here. */
enum clock_state {
    CLOCK_UNKNOWN,
    CLOCK_NO_SWITCH,  /* a clock multiplexer did not follow */
    CLOCK_NO_RESET,   /* a block did not leave its reset */
    CLOCK_NO_CRYSTAL, /* XOSC never became stable */
    CLOCK_NO_LOCK,    /* the PLL never locked */
    CLOCK_CRYSTAL,    /* 125 MHz from the crystal */
};

static volatile enum clock_state clock_state;
static uint32_t systick_ahead; /* of the timer's microseconds, in cycles, at start */

static bool ready(volatile const uint32_t *reg, uint32_t mask, uint32_t wanted) {
    for (uint32_t turn = 0; turn < LONGEST_WAIT_TURNS; turn++) {
        if ((*reg & mask) == wanted) {
            return true;
        }
    }
    return false;
}

/* A reset of the processor alone finds the PLL in use: back to the ring oscillator first. SELECTED
 * is one bit per source. */
static bool to_ring_oscillator(void) {
    HB_CLEAR(CLK_SYS_CTRL) = CLK_SYS_SRC_AUX;
    if (!ready(&CLK_SYS_SELECTED, 3u, 1u << 0)) {
        return false;
    }
    HB_CLEAR(CLK_REF_CTRL) = CLK_REF_SRC;
    return ready(&CLK_REF_SELECTED, 7u, 1u << 0);
}

static bool blocks_start(void) {
    HB_SET(RESETS_RESET) = USED_BLOCKS;
    HB_CLEAR(RESETS_RESET) = USED_BLOCKS;
    return ready(&RESETS_DONE, USED_BLOCKS, USED_BLOCKS);
}

static bool pll_start(void) {
    PLL_CS = 1u; /* reference undivided */
    PLL_FBDIV = PLL_FEEDBACK;
    HB_CLEAR(PLL_PWR) = PLL_PWR_PD | PLL_PWR_VCOPD;
    if (!ready(&PLL_CS, PLL_LOCK, PLL_LOCK)) {
        return false;
    }
    PLL_PRIM = PLL_POST_DIVS;
    HB_CLEAR(PLL_PWR) = PLL_PWR_POSTDIVPD;
    return true;
}

static enum clock_state clock_start(void) {
    if (!to_ring_oscillator()) {
        return CLOCK_NO_SWITCH;
    }
    if (!blocks_start()) {
        return CLOCK_NO_RESET;
    }
    XOSC_STARTUP = XOSC_DELAY;
    XOSC_CTRL = XOSC_ENABLE_1_15MHZ;
    if (!ready(&XOSC_STATUS, XOSC_STABLE, XOSC_STABLE)) {
        return CLOCK_NO_CRYSTAL;
    }
    HB_REG(CLK_REF_CTRL) = CLK_REF_SRC_XOSC;
    if (!ready(&CLK_REF_SELECTED, 7u, 1u << CLK_REF_SRC_XOSC)) {
        return CLOCK_NO_SWITCH;
    }
    if (!pll_start()) {
        return CLOCK_NO_LOCK;
    }
    HB_REG(CLK_SYS_CTRL) = 0; /* AUXSRC before SRC: only the last multiplexer switches cleanly */
    HB_REG(CLK_SYS_CTRL) = CLK_SYS_SRC_AUX;
    if (!ready(&CLK_SYS_SELECTED, 3u, 1u << CLK_SYS_SRC_AUX)) {
        return CLOCK_NO_SWITCH;
    }
    HB_REG(CLK_PERI_CTRL) = CLK_PERI_ENABLE;
    return CLOCK_CRYSTAL;
}

static uint32_t systick(void) {
    return SYSTICK_MASK - HB_SYST_CVR;
}

static void counter_start(void) {
    WATCHDOG_TICK = HB_XOSC_HZ / 1000000u | WATCHDOG_TICK_ENABLE;
    HB_SYST_RVR = SYSTICK_MASK;
    HB_SYST_CVR = 0;
    HB_SYST_CSR = SYST_CPU_CLOCK;
    systick_ahead = 0u - TIMER_RAWL * CYCLES_PER_US;
    systick_ahead = systick_ahead + systick();
}

void hb_cortex_m_irq(void) {
    while ((UART_FR & FR_RX_EMPTY) == 0) {
        const uint32_t received = UART_DR;
        hb_receive_put((uint8_t)received);
        if ((received & DR_OVERRUN) != 0) {
            hb_receive_lost();
        }
    }
}

static void uart_start(void) {
    /* "UART: Baud rate": in 64ths of 16 clock cycles. */
    const uint32_t divider = (CLOCK_HZ * 4u + HB_UART_BAUD / 2u) / HB_UART_BAUD;
    UART_IBRD = divider >> 6;
    UART_FBRD = divider & 63u;
    UART_LCR_H = LCR_H_8_BITS_FIFO; /* takes the divider over */
    UART_IFLS = 0;                  /* interrupts when 4 of 32 are there */
    UART_CR = CR_ENABLE_TX_RX;
    UART_IMSC = IMSC_RX_AND_TIMEOUT;
    PAD(HB_UART_RX) = PAD_INPUT_PULLED_UP;
    GPIO_CTRL(HB_UART_TX) = FUNCTION_UART;
    GPIO_CTRL(HB_UART_RX) = FUNCTION_UART;
    hb_cortex_m_irq_enable(HB_UART_IRQ);
}

void hb_port_init(void) {
    clock_state = clock_start();
    while (clock_state != CLOCK_CRYSTAL) {
        __asm volatile("cpsid i\n\twfi");
    }
    hb_port_marker(false);
    SIO_OE_SET = 1u << HB_MARKER;
    GPIO_CTRL(HB_MARKER) = FUNCTION_SIO;
    counter_start();
    uart_start();
}

const struct hb_port_info *hb_port_info(void) {
    static struct hb_port_info info = {
        .name = HB_PORT_NAME,
        .counter_hz = CLOCK_HZ,
        .counter_bits = 32,
        .clock_source = HB_CLOCK_REGISTER,
        .untested = true,
    };
    const bool known = (SYSINFO_CHIP_ID & CHIP_ID_PART_MAKER) == CHIP_ID_RP2040;
    info.chip = known ? "rp2040" : "rp?";
    return &info;
}

/* The chip has none; the flash chip's would need the flash unmapped, from RAM. */
size_t hb_port_unique_id(char *out, size_t cap) {
    (void)out;
    (void)cap;
    return 0;
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while ((UART_FR & FR_TX_FULL) != 0) {
        }
        UART_DR = data[i];
    }
}

void hb_port_uart_flush(void) {
    while ((UART_FR & FR_BUSY) != 0) {
    }
}

/* The low 24 bits are SysTick's, exactly; the others are those that bring the sum nearest to what
 * the timer says. All arithmetic is modulo 2^32, in which 2^32 microseconds are a whole number of
 * turns, so the timer's own wrap does no harm. */
uint32_t hb_port_counter(void) {
    const uint32_t coarse = TIMER_RAWL * CYCLES_PER_US + systick_ahead;
    const uint32_t ahead = (systick() - coarse) & SYSTICK_MASK;
    return coarse + ((ahead ^ SYSTICK_SIGN) - SYSTICK_SIGN);
}

void hb_port_marker(bool on) {
    if (on) {
        SIO_OUT_SET = 1u << HB_MARKER;
    } else {
        SIO_OUT_CLR = 1u << HB_MARKER;
    }
}
