/* CRC-32 of zlib and IEEE 802.3: polynomial 0xEDB88320 reflected, so that "123456789" gives
 * 0xCBF43926. Two tables of 16 words: 128 bytes instead of 1 KiB. */
#ifndef HB_CRC32_H
#define HB_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* crc = 0 at the start; the result of one piece is the crc for the next. */
uint32_t hb_crc32(uint32_t crc, const uint8_t *data, size_t length);

#endif
