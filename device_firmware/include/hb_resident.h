/* The resident plan: a model that is part of the image, for boards without RAM for one.
 *
 * The image has a section .hb_resident with this header and nothing after it. Before flashing the
 * host writes length, SHA-256 and, behind the header, the plan (hilbench/board/resident.py). The
 * build id stays the image's own. */
#ifndef HB_RESIDENT_H
#define HB_RESIDENT_H

#include "hb_const.h"
#include <stdbool.h>
#include <stdint.h>

#define HB_RESIDENT_MAGIC 0x53525148u /* bytes 48 51 52 53: "HQRS" */

struct hb_resident_header {
    uint32_t magic;
    uint32_t capacity; /* bytes behind the header that a plan may take */
    uint32_t length;   /* of the plan; 0: none */
    uint32_t reserved; /* 0 */
    uint8_t sha256[32];
};
typedef char hb_resident_header_is_48_bytes[sizeof(struct hb_resident_header) == 48 ? 1 : -1];

/* What hb_port_resident() gives. */
struct hb_resident {
    const HB_CONST uint8_t *plan;   /* 16-byte aligned, where the machine cares */
    const HB_CONST uint8_t *sha256; /* 32 bytes, as the host wrote them; the core hashes the plan */
    uint32_t capacity;
    uint32_t length; /* 0: the image was not patched, or its section is damaged */
};

/* Reads a section; always true, so that a port can return it. */
bool hb_resident_read(const HB_CONST struct hb_resident_header *section, struct hb_resident *out);

#endif
