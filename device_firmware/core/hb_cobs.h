/* Consistent overhead byte stuffing: Cheshire & Baker, IEEE/ACM Trans. Networking 7(2), 1999.
 * A run of up to 254 bytes without a zero goes out behind a code byte: its length + 1. */
#ifndef HB_COBS_H
#define HB_COBS_H

#include "hb_protocol.h"
#include <stddef.h>
#include <stdint.h>

#define HB_COBS_FULL_BLOCK 0xFFu /* 254 bytes, no zero after them */

/* Encodes the concatenation of pieces straight to write(), without a buffer and without the
 * delimiter. */
void hb_cobs_write(const struct hb_tail *pieces, size_t count,
                   void (*write)(const uint8_t *data, size_t length));

#endif
