/* What every Cortex-M port shares: reset, stack, pool, build id, idle. Addresses are those of the
 * Armv7-M and Armv8-M architecture reference manuals (DDI 0403, DDI 0553). */
#ifndef HB_CORTEX_M_H
#define HB_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#define HB_REG(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define HB_SYST_CSR   HB_REG(0xE000E010u)
#define HB_SYST_RVR   HB_REG(0xE000E014u)
#define HB_SYST_CVR   HB_REG(0xE000E018u)
#define HB_NVIC_ISER0 0xE000E100u
#define HB_NVIC_ICER0 0xE000E180u
#define HB_NVIC_ISPR0 0xE000E200u
#define HB_NVIC_ICPR0 0xE000E280u
#define HB_SCB_CPUID  HB_REG(0xE000ED00u)
#define HB_SCB_ICSR   HB_REG(0xE000ED04u)
#define HB_SCB_AIRCR  HB_REG(0xE000ED0Cu)
#define HB_SCB_CCR    HB_REG(0xE000ED14u)
#define HB_SCB_CFSR   HB_REG(0xE000ED28u)
#define HB_SCB_HFSR   HB_REG(0xE000ED2Cu)
#define HB_SCB_MMFAR  HB_REG(0xE000ED34u)
#define HB_SCB_BFAR   HB_REG(0xE000ED38u)
#define HB_SCB_CPACR  HB_REG(0xE000ED88u)

/* The last fault, kept across a reset (not across a power cycle) for whoever looks with a probe:
 * symbol hb_fault_record. Valid when magic is HB_FAULT_MAGIC. */
#define HB_FAULT_MAGIC 0x48424654u

struct hb_fault_record {
    uint32_t magic;
    uint32_t exception; /* number: 3 HardFault; anything else is an interrupt nobody handles */
    uint32_t pc;        /* 0 when the stack was unusable */
    uint32_t lr;
    uint32_t cfsr;
    uint32_t hfsr;
    uint32_t mmfar;
    uint32_t bfar;
};

static inline void hb_cortex_m_barrier(void) {
    __asm volatile("dsb\n\tisb" ::: "memory");
}

static inline void hb_cortex_m_irq_enable(uint32_t irq) {
    HB_REG(HB_NVIC_ISER0 + 4u * (irq / 32u)) = 1u << (irq % 32u);
    hb_cortex_m_barrier();
}

static inline void hb_cortex_m_irq_disable(uint32_t irq) {
    HB_REG(HB_NVIC_ICER0 + 4u * (irq / 32u)) = 1u << (irq % 32u);
    hb_cortex_m_barrier();
}

static inline void hb_cortex_m_irq_pend(uint32_t irq) {
    HB_REG(HB_NVIC_ISPR0 + 4u * (irq / 32u)) = 1u << (irq % 32u);
    hb_cortex_m_barrier();
}

/* For an interrupt that woke the core but was never taken: it stays pending after its cause is
 * gone, and would end the next sleep at once. */
static inline void hb_cortex_m_irq_forget(uint32_t irq) {
    HB_REG(HB_NVIC_ICPR0 + 4u * (irq / 32u)) = 1u << (irq % 32u);
    hb_cortex_m_barrier();
}

/* "cortex-m4" and so on, from CPUID: the silicon says it, not the build. */
const char *hb_cortex_m_chip(void);

/* The port's one device interrupt, vectored for every line of the NVIC. */
void hb_cortex_m_irq(void);

#endif
