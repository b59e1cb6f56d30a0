/* SHA-256, FIPS 180-4, of one piece of memory. */
#ifndef HB_SHA256_H
#define HB_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define HB_SHA256_BYTES 32

void hb_sha256(const uint8_t *data, size_t length, uint8_t digest[HB_SHA256_BYTES]);

#endif
