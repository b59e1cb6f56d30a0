/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Encodings: Armv8-M Architecture Reference Manual (DDI 0553), chapters C2.3 and C2.4.
 */
#include "thumb.h"

#include <stdbool.h>

#define PC 15u

static bool is(uint16_t word, uint16_t mask, uint16_t value) {
    return (word & mask) == value;
}

static bool is_wide(uint16_t first) {
    return first >= 0xE800u;
}

static enum hb_class load_if(bool load) {
    return load ? HB_LOAD : HB_STORE;
}

static enum hb_class class_of_16(uint16_t h) {
    switch (h >> 12) {
    case 0x4:
        if (is(h, 0xFFC0, 0x4340)) {
            return HB_MUL;
        }
        if (is(h, 0xF800, 0x4800)) {
            return HB_LOAD; /* literal */
        }
        /* BX, BLX; MOV and ADD to the program counter */
        return is(h, 0xFF00, 0x4700) || is(h, 0xFD87, 0x4487) ? HB_BRANCH : HB_ALU;
    case 0x5:
        return load_if((h & 0x0E00) >= 0x0600);
    case 0x6:
    case 0x7:
    case 0x8:
    case 0x9:
    case 0xC:
        return load_if(h & 0x0800);
    case 0xB:
        if (is(h, 0xF600, 0xB400)) {
            return load_if(h & 0x0800); /* PUSH, POP */
        }
        if (is(h, 0xF500, 0xB100)) {
            return HB_BRANCH; /* CBZ, CBNZ */
        }
        /* CPS; BKPT, hints, IT */
        return is(h, 0xFFE0, 0xB660) || is(h, 0xFE00, 0xBE00) ? HB_OTHER : HB_ALU;
    case 0xD:
        return is(h, 0xFE00, 0xDE00) ? HB_OTHER : HB_BRANCH; /* UDF, SVC */
    case 0xE:
        return HB_BRANCH;
    default:
        return HB_ALU;
    }
}

/* 0xE800 to 0xE9FF: several registers, two registers, exclusives, table branches. */
static enum hb_class class_of_multiple(uint16_t a, uint16_t b) {
    if (is(a, 0xFFF0, 0xE8D0) && is(b, 0xFFE0, 0xF000)) {
        return HB_BRANCH; /* TBB, TBH */
    }
    if ((a == 0xE97F && b == 0xE97F) || (is(a, 0xFFF0, 0xE840) && is(b, 0xF03F, 0xF000))) {
        return HB_OTHER; /* SG, TT */
    }
    return load_if(a & 0x0010);
}

/* Second half with its top bit set. */
static enum hb_class class_of_branch(uint16_t a, uint16_t b) {
    if (is(b, 0xD000, 0x8000) && is(a, 0x0380, 0x0380)) {
        return HB_OTHER;
    }
    return is(a, 0xFFC0, 0xF000) && is(b, 0xFFFF, 0xE801) ? HB_VECTOR : HB_BRANCH; /* VCTP */
}

static enum hb_class class_of_coprocessor(uint16_t a, uint16_t b) {
    bool scalar = is(b, 0x0E00, 0x0A00) || is(b, 0x0F00, 0x0900);
    if (is(a, 0xEE00, 0xEC00)) {
        if (is(a, 0xFFA0, 0xEC00)) { /* a move of two registers, unless FP's VLSTM and VLLDM */
            return scalar ? HB_FP : HB_VECTOR;
        }
        return scalar || is(b, 0x0E00, 0x0E00) ? load_if(a & 0x0010) : HB_OTHER;
    }
    if (is(a, 0xEF00, 0xEF00)) {
        return HB_VECTOR;
    }
    if (!scalar) {
        return is(b, 0x0800, 0x0800) || is(b, 0x0E00, 0x0E00) ? HB_VECTOR : HB_OTHER;
    }
    /* A move between a core register and a lane: of 32 bits it is FP's, else Helium's, as VDUP. */
    if (is(a, 0xFF00, 0xEE00) && is(b, 0x0F10, 0x0B10)) {
        return (a & 0x00C0) != 0 || (b & 0x0060) != 0 ? HB_VECTOR : HB_FP;
    }
    return HB_FP;
}

static enum hb_class class_of_32(uint16_t a, uint16_t b) {
    if (is(a, 0xFE00, 0xE800)) {
        return is(a, 0x0040, 0) ? load_if(a & 0x0010) : class_of_multiple(a, b);
    }
    if (is(a, 0xF800, 0xF000)) {
        return b & 0x8000 ? class_of_branch(a, b) : HB_ALU;
    }
    if (is(a, 0xFE00, 0xF800)) {
        bool preload = is(b, 0xF000, 0xF000) && is(a, 0x0010, 0x0010) && !is(a, 0x0060, 0x0040);
        return preload ? HB_OTHER : load_if(a & 0x0010);
    }
    if (is(a, 0xFF00, 0xFB00)) {
        bool divides = is(a, 0xFFD0, 0xFB90) && is(b, 0x00F0, 0x00F0);
        return divides ? HB_DIV : HB_MUL;
    }
    return is(a, 0xEC00, 0xEC00) ? class_of_coprocessor(a, b) : HB_ALU;
}

enum hb_class hb_thumb_class(uint16_t first, uint16_t second) {
    return is_wide(first) ? class_of_32(first, second) : class_of_16(first);
}

/* --- cycles ---------------------------------------------------------------------------------- */

/* One line a core. Technical Reference Manuals: Cortex-M0 (DDI 0432) table 3-1 with the fast
 * multiplier, Cortex-M3 (DDI 0337) table 3-1, Cortex-M4 (DDI 0439) tables 3-1 and 7-1. A branch is
 * taken, refills are 2 of 1 to 3 cycles, a division is 7 of 2 to 12, a long product on the M3 is 4
 * of 3 to 7; a load is not pipelined with its neighbours: blocks are cut anew at run time, and the
 * model must not depend on where. */
struct costs {
    uint8_t multiply, multiply_add, multiply_long, divide;
    uint8_t address;        /* of a load or store, before one cycle for each register */
    uint8_t refill;         /* of a branch, beside its own cycle */
    uint8_t pop_pc;         /* of a load to the program counter, beside its registers */
    uint8_t link;           /* of BL, beside a branch */
    uint8_t special;        /* MSR, MRS, barriers */
    uint8_t register_store; /* one register */
};

static const struct costs costs[HB_CORES] = {
    [HB_CORTEX_M0] = {1, 1, 1, 1, 1, 2, 3, 1, 4, 2},
    [HB_CORTEX_M3] = {1, 2, 4, 7, 1, 2, 2, 0, 2, 1},
    [HB_CORTEX_M4] = {1, 1, 1, 7, 1, 2, 2, 0, 2, 1},
};

static uint32_t bits(uint32_t word) {
    uint32_t count = 0;
    for (; word != 0; word &= word - 1) {
        count++;
    }
    return count;
}

/* How many words an instruction moves. */
static uint32_t transfers(uint16_t a, uint16_t b) {
    if (!is_wide(a)) {
        if (is(a, 0xF600, 0xB400)) {
            return bits(a & 0x01FFu);
        }
        return is(a, 0xF000, 0xC000) ? bits(a & 0x00FFu) : 1;
    }
    if (is(a, 0xFE40, 0xE800)) {
        return bits(b);
    }
    if (is(a, 0xFE40, 0xE840)) {
        return is(a, 0xFF60, 0xE840) ? 1 : 2; /* exclusives, or two registers */
    }
    if (is(a, 0xFE00, 0xEC00)) {
        uint32_t words = is(b, 0x0F00, 0x0B00) ? 2 : 1;
        return is(a, 0x0120, 0x0100) ? words : b & 0x00FFu; /* VLDR, or VLDM with its length */
    }
    return 1;
}

static bool loads_pc(uint16_t a, uint16_t b) {
    if (!is_wide(a)) {
        return is(a, 0xFF00, 0xBD00);
    }
    if (is(a, 0xFE40, 0xE800)) {
        return b & 0x8000;
    }
    return is(a, 0xFE70, 0xF850) && b >> 12 == PC;
}

static uint32_t multiply_cycles(const struct costs *cost, uint16_t a, uint16_t b) {
    if (!is_wide(a)) {
        return cost->multiply;
    }
    if (is(a, 0xFF80, 0xFB80)) {
        return cost->multiply_long;
    }
    return b >> 12 == PC ? cost->multiply : cost->multiply_add;
}

/* Cortex-M4, DDI 0439 table 7-1. */
static uint32_t fp_cycles(uint16_t a, uint16_t b) {
    if (is(a, 0xFE00, 0xEC00)) {
        return 2; /* two registers moved */
    }
    if (!is(a, 0xFF00, 0xEE00) || is(b, 0x0010, 0x0010)) {
        return 1;
    }
    uint16_t operation = a & 0x00B0;
    bool square_root = is(a, 0x00BF, 0x00B1) && is(b, 0x00C0, 0x00C0);
    if (operation == 0x0080 || square_root) {
        return 14; /* VDIV, VSQRT */
    }
    bool accumulates = operation == 0x0000 || operation == 0x0010 || operation == 0x0090 ||
                       operation == 0x00A0; /* VMLA, VNMLA, VFNMA, VFMA */
    return accumulates ? 3 : 1;
}

uint32_t hb_thumb_cycles(enum hb_core core, uint16_t a, uint16_t b) {
    const struct costs *cost = &costs[core];
    switch (hb_thumb_class(a, b)) {
    case HB_MUL:
        return multiply_cycles(cost, a, b);
    case HB_DIV:
        return cost->divide;
    case HB_LOAD:
        return cost->address + transfers(a, b) + (loads_pc(a, b) ? cost->pop_pc : 0u);
    case HB_STORE: {
        uint32_t words = transfers(a, b);
        return words == 1 ? cost->register_store : cost->address + words;
    }
    case HB_BRANCH: {
        bool table = is_wide(a) && is(a, 0xFE00, 0xE800);
        bool links = is_wide(a) && is(b, 0xD000, 0xD000) && !table;
        return 1u + cost->refill + (links ? cost->link : 0u) + (table ? 1u : 0u);
    }
    case HB_FP:
        return fp_cycles(a, b);
    case HB_OTHER:
        return is_wide(a) && is(a, 0xFE00, 0xF200) ? cost->special : 1u;
    default:
        return 1;
    }
}
