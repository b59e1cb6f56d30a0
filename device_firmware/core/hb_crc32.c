#include "hb_crc32.h"

#include "hb_const.h"

/* CRC of a byte = CRC of its lower ^ CRC of its upper half: two tables of 16 words, and no shift
 * but by whole bytes, which an 8-bit machine has for nothing. */
static const HB_CONST uint32_t lower[16] = {
    0x00000000u, 0x77073096u, 0xee0e612cu, 0x990951bau, 0x076dc419u, 0x706af48fu,
    0xe963a535u, 0x9e6495a3u, 0x0edb8832u, 0x79dcb8a4u, 0xe0d5e91eu, 0x97d2d988u,
    0x09b64c2bu, 0x7eb17cbdu, 0xe7b82d07u, 0x90bf1d91u,
};
static const HB_CONST uint32_t upper[16] = {
    0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
    0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
    0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
};

uint32_t hb_crc32(uint32_t crc, const uint8_t *data, size_t length) {
    crc = ~crc;
    for (size_t i = 0; i < length; ++i) {
        const uint8_t index = (uint8_t)(crc ^ data[i]);
        crc = (crc >> 8) ^ lower[index & 15u] ^ upper[index >> 4];
    }
    return ~crc;
}
