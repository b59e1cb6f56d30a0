/* Packets on the wire, PROTOCOL.md section 2: 0x00, COBS(header, payload, CRC-32), 0x00.
 *
 * Receiving decodes in place into one buffer; sending needs none: the encoder looks ahead in the
 * pieces themselves. */
#ifndef HB_PACKET_H
#define HB_PACKET_H

#include "hb_port_config.h"
#include "hb_protocol.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a board can take unacknowledged is what its ring can hold, unless the port knows better. */
#ifndef HB_WINDOW_BYTES
#define HB_WINDOW_BYTES (HB_RING_BYTES - 1)
#endif

struct hb_packet {
    uint8_t version;
    uint8_t type;
    uint16_t session;
    uint16_t sequence;
    uint8_t *payload; /* in the decoder's buffer; valid until the next hb_packet_feed() */
    size_t length;
};

struct hb_decoder {
    uint32_t good_packets;
    uint32_t bad_packets; /* COBS, length or CRC wrong, or longer than the buffer */
    size_t filled;        /* decoded bytes in buffer; beyond its size when the run is too long */
    uint8_t code;         /* of the current COBS block; 0: between two packets */
    uint8_t block_left;   /* bytes of the current COBS block that are still to come */
    uint8_t buffer[HB_HEADER_BYTES + HB_PACKET_BYTES + HB_CRC_BYTES];
};

/* Consumes bytes from *at until a packet is complete (true) or all are used (false). */
bool hb_packet_feed(struct hb_decoder *decoder, const uint8_t **at, const uint8_t *end,
                    struct hb_packet *out);

/* Sends a packet whose payload is head followed by tail; either may be empty. */
void hb_packet_send(uint8_t type, uint16_t session, uint16_t sequence, struct hb_tail head,
                    struct hb_tail tail);

#endif
