#ifndef HB_HEX_H
#define HB_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Writes a word as up to 8 hexadecimal digits; returns how many fitted. */
static inline size_t hb_hex(char *out, size_t cap, uint32_t word) {
    size_t length = 0;
    for (int shift = 28; shift >= 0 && length < cap; shift -= 4) {
        out[length++] = "0123456789abcdef"[(word >> shift) & 15u];
    }
    return length;
}

#endif
