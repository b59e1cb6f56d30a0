/* hb_port.h on an STM32F405. Registers: reference manual RM0090, sections as named.
 *
 * The image runs as it is on QEMU's netduinoplus2, whose model has no clock tree: all of RCC reads
 * 0 there, which no chip does. That state has a name (CLOCK_NOT_MODELLED), it is decided once, at
 * start, and HELLO says `declared` instead of `register`. */
#include "cortex_m.h"
#include "hb_port.h"
#include "hb_port_config.h"
#include "hb_protocol.h"
#include "hex.h"
#include "receive.h"

/* RCC, "RCC register map" */
#define RCC_CR          HB_REG(0x40023800u)
#define RCC_PLLCFGR     HB_REG(0x40023804u)
#define RCC_CFGR        HB_REG(0x40023808u)
#define RCC_AHB1ENR     HB_REG(0x40023830u)
#define RCC_APB1ENR     HB_REG(0x40023840u)
#define RCC_APB2ENR     HB_REG(0x40023844u)
#define CR_HSION        (1u << 0)
#define CR_HSEON        (1u << 16)
#define CR_HSERDY       (1u << 17)
#define CR_PLLON        (1u << 24)
#define CR_PLLRDY       (1u << 25)
#define PLLCFGR_SRC_HSE (1u << 22)
#define CFGR_SW_PLL     (2u << 0)
#define CFGR_SWS(cfgr)  (((cfgr) >> 2) & 3u)
#define SWS_HSI         0u
#define SWS_PLL         2u
#define CFGR_PPRE1_DIV4 (5u << 10)
#define CFGR_PPRE2_DIV2 (4u << 13)
#define AHB1ENR_GPIOB   (1u << 1)
#define APB1ENR_TIM2    (1u << 0)
#define APB1ENR_PWR     (1u << 28)
#define APB2ENR_USART1  (1u << 4)
/* PWR, "PWR power control register" and "PWR power control/status register" */
#define PWR_CR             HB_REG(0x40007000u)
#define PWR_CSR            HB_REG(0x40007004u)
#define PWR_CR_VOS_SCALE_1 (1u << 14)
#define PWR_CSR_VOSRDY     (1u << 14)
/* Flash, "Flash access control register"; 168 MHz at 2.7 to 3.6 V takes 5 wait states ("Relation
 * between CPU clock frequency and Flash memory read time") */
#define FLASH_ACR           HB_REG(0x40023C00u)
#define ACR_LATENCY         7u
#define ACR_5_WAIT_STATES   5u
#define ACR_PREFETCH_CACHES (7u << 8) /* PRFTEN, ICEN, DCEN */
/* GPIO, "GPIO registers" */
#define GPIOB_MODER   HB_REG(0x40020400u)
#define GPIOB_OSPEEDR HB_REG(0x40020408u)
#define GPIOB_PUPDR   HB_REG(0x4002040Cu)
#define GPIOB_BSRR    HB_REG(0x40020418u)
#define GPIOB_AFRL    HB_REG(0x40020420u)
#define AF7_USART1    7u
/* USART1, "USART registers" */
#define USART_SR            HB_REG(0x40011000u)
#define USART_DR            HB_REG(0x40011004u)
#define USART_BRR           HB_REG(0x40011008u)
#define USART_CR1           HB_REG(0x4001100Cu)
#define SR_ORE              (1u << 3)
#define SR_RXNE             (1u << 5)
#define SR_TC               (1u << 6)
#define SR_TXE              (1u << 7)
#define CR1_RE_TE_RXNEIE_UE (1u << 2 | 1u << 3 | 1u << 5 | 1u << 13)
/* TIM2, "TIM2 to TIM5 registers": 32 bits */
#define TIM2_CR1 HB_REG(0x40000000u)
#define TIM2_EGR HB_REG(0x40000014u)
#define TIM2_CNT HB_REG(0x40000024u)
#define TIM2_PSC HB_REG(0x40000028u)
#define TIM2_ARR HB_REG(0x4000002Cu)
#define TIM_CEN  (1u << 0)
#define TIM_UG   (1u << 0)
/* "Unique device ID register (96 bits)" and "MCU device ID code" */
#define UNIQUE_ID(word)  HB_REG(0x1FFF7A10u + 4u * (word))
#define DBGMCU_IDCODE    HB_REG(0xE0042000u)
#define DEV_ID_F405_F407 0x413u

#define HSI_HZ        16000000u
#define PLL_INPUT_HZ  1000000u
#define PLL_N         336u /* VCO 336 MHz */
#define PLL_P         2u
#define PLL_Q         7u /* 48 MHz for USB; not used, but 0 and 1 are forbidden */
#define MODEL_TIM2_HZ 1000000000u
/* One tick an instruction at the emulator's 64 ns; at another pace ticks are coarser, and true. */
#define MODEL_TIM2_PRESCALER 64u
/* A turn takes some 8 cycles: 100 ms or more of the 16 MHz that run meanwhile. */
#define LONGEST_WAIT_TURNS 200000u

/* How the processor is clocked; decided once by clock_start(). */
enum clock_state {
    CLOCK_NOT_MODELLED, /* QEMU: RCC reads 0 */
    CLOCK_CRYSTAL,      /* 168 MHz from the crystal */
    CLOCK_INTERNAL,     /* crystal, regulator or PLL never became ready: 16 MHz +-1 % from reset */
};

static enum clock_state clock_state;

static bool ready(volatile const uint32_t *reg, uint32_t mask, uint32_t wanted) {
    for (uint32_t turn = 0; turn < LONGEST_WAIT_TURNS; turn++) {
        if ((*reg & mask) == wanted) {
            return true;
        }
    }
    return false;
}

static enum clock_state clock_start(void) {
    if ((RCC_CR & CR_HSION) == 0 && RCC_PLLCFGR == 0) { /* after reset: 1 and 0x24003010 */
        return CLOCK_NOT_MODELLED;
    }
    RCC_APB1ENR |= APB1ENR_PWR;
    hb_cortex_m_barrier();
    PWR_CR |= PWR_CR_VOS_SCALE_1;
    RCC_CR |= CR_HSEON;
    if (!ready(&RCC_CR, CR_HSERDY, CR_HSERDY)) {
        return CLOCK_INTERNAL;
    }
    RCC_PLLCFGR = HB_HSE_HZ / PLL_INPUT_HZ | PLL_N << 6 | (PLL_P / 2u - 1u) << 16 |
                  PLLCFGR_SRC_HSE | PLL_Q << 24;
    RCC_CR |= CR_PLLON;
    /* The regulator reports its scale only while the PLL is on. */
    if (!ready(&RCC_CR, CR_PLLRDY, CR_PLLRDY) || !ready(&PWR_CSR, PWR_CSR_VOSRDY, PWR_CSR_VOSRDY)) {
        return CLOCK_INTERNAL;
    }
    FLASH_ACR = ACR_5_WAIT_STATES | ACR_PREFETCH_CACHES;
    if (!ready(&FLASH_ACR, ACR_LATENCY, ACR_5_WAIT_STATES)) {
        return CLOCK_INTERNAL;
    }
    /* APB1 at most 42 MHz, APB2 at most 84 MHz: the dividers before the switch. */
    RCC_CFGR = CFGR_PPRE1_DIV4 | CFGR_PPRE2_DIV2;
    RCC_CFGR = CFGR_PPRE1_DIV4 | CFGR_PPRE2_DIV2 | CFGR_SW_PLL;
    if (!ready(&RCC_CFGR, 3u << 2, SWS_PLL << 2)) {
        RCC_CFGR = 0;
        return CLOCK_INTERNAL;
    }
    return CLOCK_CRYSTAL;
}

/* From the registers that rule, not from what clock_start() meant to write. */
static uint32_t processor_hz(void) {
    if (CFGR_SWS(RCC_CFGR) == SWS_HSI) {
        return HSI_HZ;
    }
    const uint32_t pll = RCC_PLLCFGR;
    const uint32_t m = pll & 63u, n = (pll >> 6) & 511u, p = 2u * (((pll >> 16) & 3u) + 1u);
    return HB_HSE_HZ / m * n / p;
}

/* PPRE: below 4 undivided, then 2, 4, 8, 16. */
static uint32_t bus_divider(uint32_t ppre) {
    return ppre < 4u ? 1u : 2u << (ppre - 4u);
}

static uint32_t usart_clock_hz(void) {
    return processor_hz() / bus_divider((RCC_CFGR >> 13) & 7u);
}

/* "Clocks": timers of a divided bus run at twice the bus clock. */
static uint32_t timer_clock_hz(void) {
    const uint32_t divider = bus_divider((RCC_CFGR >> 10) & 7u);
    return divider == 1u ? processor_hz() : processor_hz() / divider * 2u;
}

void hb_cortex_m_irq(void) {
    uint32_t status;
    while (((status = USART_SR) & (SR_RXNE | SR_ORE)) != 0) {
        const uint8_t byte = (uint8_t)USART_DR; /* after SR: clears both flags */
        if ((status & SR_RXNE) != 0) {
            hb_receive_put(byte);
        }
        if ((status & SR_ORE) != 0) {
            hb_receive_lost();
        }
    }
}

static void pins_start(void) {
    hb_port_marker(false);
    GPIOB_MODER |= 2u << (2u * HB_UART_TX) | 2u << (2u * HB_UART_RX) | 1u << (2u * HB_MARKER);
    GPIOB_OSPEEDR |= 2u << (2u * HB_MARKER);
    GPIOB_PUPDR |= 1u << (2u * HB_UART_RX); /* an open line is idle, not a break */
    GPIOB_AFRL |= AF7_USART1 << (4u * HB_UART_TX) | AF7_USART1 << (4u * HB_UART_RX);
}

void hb_port_init(void) {
    clock_state = clock_start();
    RCC_AHB1ENR |= AHB1ENR_GPIOB;
    RCC_APB1ENR |= APB1ENR_TIM2;
    RCC_APB2ENR |= APB2ENR_USART1;
    hb_cortex_m_barrier(); /* "a delay between an RCC peripheral clock enable and ..." */
    pins_start();
    TIM2_PSC = clock_state == CLOCK_NOT_MODELLED ? MODEL_TIM2_PRESCALER - 1u : 0u;
    TIM2_ARR = UINT32_MAX;
    TIM2_EGR = TIM_UG; /* takes the prescaler over */
    TIM2_CR1 = TIM_CEN;
    if (clock_state != CLOCK_NOT_MODELLED) {
        USART_BRR = (usart_clock_hz() + HB_UART_BAUD / 2u) / HB_UART_BAUD;
    }
    USART_CR1 = CR1_RE_TE_RXNEIE_UE;
    hb_cortex_m_irq_enable(HB_UART_IRQ);
    /* QEMU's receive interrupt is raised by an arrival, not by a byte that is already there. */
    hb_cortex_m_irq_pend(HB_UART_IRQ);
}

const struct hb_port_info *hb_port_info(void) {
    static struct hb_port_info info = {
        .name = HB_PORT_NAME,
        .counter_bits = 32,
    };
    if (clock_state == CLOCK_NOT_MODELLED) {
        info.chip = hb_cortex_m_chip(); /* the model has no device id code */
        info.counter_hz = MODEL_TIM2_HZ / MODEL_TIM2_PRESCALER;
        info.clock_source = HB_CLOCK_DECLARED;
        info.untested = false; /* the tests run it there */
    } else {
        const bool known = (DBGMCU_IDCODE & 0xFFFu) == DEV_ID_F405_F407;
        info.chip = known ? "stm32f405" : "stm32?";
        info.counter_hz = timer_clock_hz();
        info.clock_source = HB_CLOCK_REGISTER;
        info.untested = true;
    }
    return &info;
}

size_t hb_port_unique_id(char *out, size_t cap) {
    if (clock_state == CLOCK_NOT_MODELLED) {
        return 0; /* the model has no system memory: reading it is a bus fault */
    }
    size_t length = 0;
    for (uint32_t word = 0; word < 3u; word++) {
        length += hb_hex(out + length, cap - length, UNIQUE_ID(word));
    }
    return length;
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while ((USART_SR & SR_TXE) == 0) {
        }
        USART_DR = data[i];
    }
}

void hb_port_uart_flush(void) {
    while ((USART_SR & SR_TC) == 0) {
    }
}

uint32_t hb_port_counter(void) {
    return TIM2_CNT;
}

void hb_port_marker(bool on) {
    GPIOB_BSRR = on ? 1u << HB_MARKER : 1u << (HB_MARKER + 16u);
}
