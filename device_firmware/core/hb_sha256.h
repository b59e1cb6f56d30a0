/* SHA-256, FIPS 180-4, of one piece of memory: of what a model may lie in. */
#ifndef HB_SHA256_H
#define HB_SHA256_H

#include "hb_const.h"
#include <stddef.h>
#include <stdint.h>

#define HB_SHA256_BYTES 32

void hb_sha256(const HB_CONST uint8_t *data, size_t length, uint8_t digest[HB_SHA256_BYTES]);

#endif
