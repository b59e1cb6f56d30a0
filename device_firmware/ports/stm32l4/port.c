/* hb_port.h on an STM32L4R5. Registers: reference manual RM0432, sections as named.
 *
 * Nobody has run this port yet. */
#include "cortex_m.h"
#include "hb_port.h"
#include "hb_port_config.h"
#include "hb_protocol.h"
#include "hex.h"
#include "receive.h"

/* RCC, "RCC register map" */
#define RCC_CR              HB_REG(0x40021000u)
#define RCC_CFGR            HB_REG(0x40021008u)
#define RCC_PLLCFGR         HB_REG(0x4002100Cu)
#define RCC_AHB2ENR         HB_REG(0x4002104Cu)
#define RCC_APB1ENR1        HB_REG(0x40021058u)
#define RCC_APB1ENR2        HB_REG(0x4002105Cu)
#define RCC_BDCR            HB_REG(0x40021090u)
#define CR_MSIPLLEN         (1u << 2)
#define CR_PLLON            (1u << 24)
#define CR_PLLRDY           (1u << 25)
#define CFGR_SW_PLL         (3u << 0)
#define CFGR_SWS            (3u << 2)
#define SWS_PLL             (3u << 2)
#define CFGR_HPRE           (15u << 4)
#define CFGR_HPRE_DIV2      (8u << 4)
#define PLLCFGR_SRC_MSI     (1u << 0)
#define PLLCFGR_REN         (1u << 24)
#define AHB2ENR_GPIOF_GPIOG (1u << 5 | 1u << 6)
#define APB1ENR1_TIM2       (1u << 0)
#define APB1ENR1_PWR        (1u << 28)
#define APB1ENR2_LPUART1    (1u << 0)
#define BDCR_LSEON          (1u << 0)
#define BDCR_LSERDY         (1u << 1)
/* PWR, "PWR register map" */
#define PWR_CR1    HB_REG(0x40007000u)
#define PWR_CR2    HB_REG(0x40007004u)
#define PWR_SR2    HB_REG(0x40007014u)
#define PWR_CR5    HB_REG(0x40007080u)
#define CR1_DBP    (1u << 8)
#define CR2_IOSV   (1u << 9) /* VDDIO2, which supplies PG2 to PG15, is there */
#define SR2_VOSF   (1u << 10)
#define CR5_R1MODE (1u << 8) /* 0: range 1 boost, needed above 80 MHz */
/* Flash, "Flash access control register"; 120 MHz in range 1 boost takes 5 wait states ("Read
 * access latency") */
#define FLASH_ACR           HB_REG(0x40022000u)
#define ACR_LATENCY         15u
#define ACR_5_WAIT_STATES   5u
#define ACR_PREFETCH_CACHES (7u << 8) /* PRFTEN, ICEN, DCEN */
/* GPIO, "GPIO register map" */
#define GPIOF_MODER   HB_REG(0x48001400u)
#define GPIOF_OSPEEDR HB_REG(0x48001408u)
#define GPIOF_BSRR    HB_REG(0x48001418u)
#define GPIOG_MODER   HB_REG(0x48001800u)
#define GPIOG_PUPDR   HB_REG(0x4800180Cu)
#define GPIOG_AFRL    HB_REG(0x48001820u)
#define GPIOG_AFRH    HB_REG(0x48001824u)
#define AF8_LPUART1   8u
/* LPUART1, "LPUART register map" */
#define LPUART_CR1          HB_REG(0x40008000u)
#define LPUART_BRR          HB_REG(0x4000800Cu)
#define LPUART_ISR          HB_REG(0x4000801Cu)
#define LPUART_ICR          HB_REG(0x40008020u)
#define LPUART_RDR          HB_REG(0x40008024u)
#define LPUART_TDR          HB_REG(0x40008028u)
#define CR1_UE_RE_TE_RXNEIE (1u << 0 | 1u << 2 | 1u << 3 | 1u << 5)
#define ISR_ORE             (1u << 3)
#define ISR_RXNE            (1u << 5)
#define ISR_TC              (1u << 6)
#define ISR_TXE             (1u << 7)
/* TIM2, "TIM2/TIM3/TIM4/TIM5 register map": 32 bits */
#define TIM2_CR1 HB_REG(0x40000000u)
#define TIM2_CNT HB_REG(0x40000024u)
#define TIM2_ARR HB_REG(0x4000002Cu)
#define TIM_CEN  (1u << 0)
/* "Unique device ID register (96 bits)" and "MCU device ID code" */
#define UNIQUE_ID(word) HB_REG(0x1FFF7590u + 4u * (word))
#define DBGMCU_IDCODE   HB_REG(0xE0042000u)
#define DEV_ID_L4R_L4S  0x470u

#define MSI_HZ 4000000u /* range 6, from reset */
#define PLL_N  60u      /* VCO 240 MHz; M is 1 and R is 2, both encoded as 0 */
#define PLL_HZ (MSI_HZ * PLL_N / 2u)
/* A turn takes some 8 cycles of 4 MHz. The 32 kHz crystal may take 2 s, everything else is below
 * a millisecond. */
#define SHORT_WAIT_TURNS   50000u
#define CRYSTAL_WAIT_TURNS 1200000u

/* How the processor is clocked; decided once by clock_start(). */
enum clock_state {
    CLOCK_RESET,          /* regulator or PLL never became ready: 4 MHz MSI as factory-trimmed */
    CLOCK_PLL_FREE,       /* 120 MHz from MSI, +-1 %: the 32 kHz crystal never started */
    CLOCK_PLL_TO_CRYSTAL, /* 120 MHz from MSI, held to the 32 kHz crystal */
};

static enum clock_state clock_state;

static bool ready(volatile const uint32_t *reg, uint32_t mask, uint32_t wanted, uint32_t turns) {
    for (uint32_t turn = 0; turn < turns; turn++) {
        if ((*reg & mask) == wanted) {
            return true;
        }
    }
    return false;
}

/* "PLL-mode": hardware trims MSI to the LSE crystal of the board. */
static bool hold_msi_to_crystal(void) {
    PWR_CR1 |= CR1_DBP;
    RCC_BDCR |= BDCR_LSEON;
    if (!ready(&RCC_BDCR, BDCR_LSERDY, BDCR_LSERDY, CRYSTAL_WAIT_TURNS)) {
        return false;
    }
    RCC_CR |= CR_MSIPLLEN;
    return true;
}

static enum clock_state clock_start(void) {
    RCC_APB1ENR1 |= APB1ENR1_PWR;
    hb_cortex_m_barrier();
    const bool held = hold_msi_to_crystal();
    if (!ready(&PWR_SR2, SR2_VOSF, 0, SHORT_WAIT_TURNS)) { /* range 1, from reset */
        return CLOCK_RESET;
    }
    PWR_CR5 &= ~CR5_R1MODE;
    FLASH_ACR = ACR_5_WAIT_STATES | ACR_PREFETCH_CACHES;
    if (!ready(&FLASH_ACR, ACR_LATENCY, ACR_5_WAIT_STATES, SHORT_WAIT_TURNS)) {
        return CLOCK_RESET;
    }
    RCC_PLLCFGR = PLLCFGR_SRC_MSI | PLL_N << 8 | PLLCFGR_REN;
    RCC_CR |= CR_PLLON;
    if (!ready(&RCC_CR, CR_PLLRDY, CR_PLLRDY, SHORT_WAIT_TURNS)) {
        return CLOCK_RESET;
    }
    /* "Dynamic voltage scaling management": above 80 MHz only by way of half the rate, for 1 us. */
    RCC_CFGR = CFGR_HPRE_DIV2;
    RCC_CFGR = CFGR_HPRE_DIV2 | CFGR_SW_PLL;
    if (!ready(&RCC_CFGR, CFGR_SWS, SWS_PLL, SHORT_WAIT_TURNS)) {
        RCC_CFGR = 0;
        return CLOCK_RESET;
    }
    for (uint32_t cycles = 0; cycles < 120u; cycles++) {
        __asm volatile("nop");
    }
    RCC_CFGR &= ~CFGR_HPRE;
    return held ? CLOCK_PLL_TO_CRYSTAL : CLOCK_PLL_FREE;
}

/* No bus is divided: processor, timers and UART have one rate. */
static uint32_t clock_hz(void) {
    return (RCC_CFGR & CFGR_SWS) == SWS_PLL ? PLL_HZ : MSI_HZ;
}

void hb_cortex_m_irq(void) {
    uint32_t status;
    while (((status = LPUART_ISR) & (ISR_RXNE | ISR_ORE)) != 0) {
        if ((status & ISR_RXNE) != 0) {
            hb_receive_put((uint8_t)LPUART_RDR);
        }
        if ((status & ISR_ORE) != 0) {
            LPUART_ICR = ISR_ORE;
            hb_receive_lost();
        }
    }
}

static void pins_start(void) {
    PWR_CR2 |= CR2_IOSV;
    RCC_AHB2ENR |= AHB2ENR_GPIOF_GPIOG;
    hb_cortex_m_barrier();
    hb_port_marker(false);
    /* Mode is 3 (analog) from reset: 1 output, 2 alternate function. */
    GPIOF_OSPEEDR |= 2u << (2u * HB_MARKER);
    GPIOF_MODER = (GPIOF_MODER & ~(3u << (2u * HB_MARKER))) | 1u << (2u * HB_MARKER);
    GPIOG_AFRL |= AF8_LPUART1 << (4u * HB_UART_TX);
    GPIOG_AFRH |= AF8_LPUART1 << (4u * (HB_UART_RX - 8u));
    GPIOG_PUPDR |= 1u << (2u * HB_UART_RX); /* an open line is idle, not a break */
    GPIOG_MODER = (GPIOG_MODER & ~(3u << (2u * HB_UART_TX) | 3u << (2u * HB_UART_RX))) |
                  2u << (2u * HB_UART_TX) | 2u << (2u * HB_UART_RX);
}

void hb_port_init(void) {
    clock_state = clock_start();
    pins_start();
    RCC_APB1ENR1 |= APB1ENR1_TIM2;
    RCC_APB1ENR2 |= APB1ENR2_LPUART1;
    hb_cortex_m_barrier();
    TIM2_ARR = UINT32_MAX;
    TIM2_CR1 = TIM_CEN;
    /* "LPUART baud rate generation": 256 times finer than a clock cycle. */
    LPUART_BRR = (uint32_t)((256ull * clock_hz() + HB_UART_BAUD / 2u) / HB_UART_BAUD);
    LPUART_CR1 = CR1_UE_RE_TE_RXNEIE;
    hb_cortex_m_irq_enable(HB_UART_IRQ);
}

const struct hb_port_info *hb_port_info(void) {
    static struct hb_port_info info = {
        .name = HB_PORT_NAME,
        .counter_bits = 32,
        .untested = true,
    };
    info.chip = (DBGMCU_IDCODE & 0xFFFu) == DEV_ID_L4R_L4S ? "stm32l4r5" : "stm32?";
    info.counter_hz = clock_hz();
    info.clock_source = clock_state == CLOCK_PLL_TO_CRYSTAL ? HB_CLOCK_REGISTER : HB_CLOCK_DECLARED;
    return &info;
}

size_t hb_port_unique_id(char *out, size_t cap) {
    size_t length = 0;
    for (uint32_t word = 0; word < 3u; word++) {
        length += hb_hex(out + length, cap - length, UNIQUE_ID(word));
    }
    return length;
}

void hb_port_uart_write(const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while ((LPUART_ISR & ISR_TXE) == 0) {
        }
        LPUART_TDR = data[i];
    }
}

void hb_port_uart_flush(void) {
    while ((LPUART_ISR & ISR_TC) == 0) {
    }
}

uint32_t hb_port_counter(void) {
    return TIM2_CNT;
}

void hb_port_marker(bool on) {
    GPIOF_BSRR = on ? 1u << HB_MARKER : 1u << (HB_MARKER + 16u);
}
