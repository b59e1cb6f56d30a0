/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a Thumb instruction is, and what it costs by a static model.
 */
#ifndef HB_THUMB_H
#define HB_THUMB_H

#include <stdint.h>

enum hb_class {
    HB_ALU,
    HB_MUL,
    HB_DIV,
    HB_LOAD, /* all that read memory, registers of any kind; also pop {pc} */
    HB_STORE,
    HB_BRANCH, /* also table branches and the loops of Armv8.1-M */
    HB_FP,     /* scalar, and moves between core and FP registers */
    HB_VECTOR, /* Helium but for its loads and stores */
    HB_OTHER,  /* hints, IT, barriers, special registers, exceptions */
    HB_CLASSES
};

enum hb_core { HB_CORTEX_M0, HB_CORTEX_M3, HB_CORTEX_M4, HB_CORES };

/* An instruction of 16 bits is `first`; `second` is 0 then. */
enum hb_class hb_thumb_class(uint16_t first, uint16_t second);

/* Cycles of one execution, from this instruction's bits alone. */
uint32_t hb_thumb_cycles(enum hb_core core, uint16_t first, uint16_t second);

#endif
