/* What the generated golden.h is made of. */
#ifndef GOLDEN_TYPES_H
#define GOLDEN_TYPES_H

#include "hb_protocol.h"

struct golden {
    const char *name;
    uint8_t type;
    uint16_t session, sequence;
    const uint8_t *payload;
    size_t payload_bytes;
    const uint8_t *wire;
    size_t wire_bytes;
    bool (*fields_match)(const uint8_t *payload, size_t length);
};

#define GOLDEN_COUNT (sizeof golden / sizeof golden[0])

#endif
