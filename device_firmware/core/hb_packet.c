#include "hb_packet.h"

#include "hb_cobs.h"
#include "hb_crc32.h"
#include "hb_port.h"

static void append(struct hb_decoder *decoder, uint8_t byte) {
    if (decoder->filled < sizeof decoder->buffer) {
        decoder->buffer[decoder->filled++] = byte;
    } else {
        decoder->filled = sizeof decoder->buffer + 1;
    }
}

/* One byte inside a run. A block code below 0xFF stands for a zero after the block, except at the
 * end of the packet: so the zero is written when the next code arrives. */
static void unstuff(struct hb_decoder *decoder, uint8_t byte) {
    if (decoder->block_left > 0) {
        decoder->block_left--;
        append(decoder, byte);
        return;
    }
    if (decoder->code != 0 && decoder->code != HB_COBS_FULL_BLOCK) {
        append(decoder, 0);
    }
    decoder->code = byte;
    decoder->block_left = (uint8_t)(byte - 1u);
}

static bool parse(struct hb_decoder *decoder, struct hb_packet *out) {
    size_t filled = decoder->filled;
    if (decoder->block_left != 0 || filled < HB_HEADER_BYTES + HB_CRC_BYTES ||
        filled > sizeof decoder->buffer) {
        return false;
    }
    struct hb_reader r = {decoder->buffer, filled, true};
    out->version = hb_get_u8(&r);
    out->type = hb_get_u8(&r);
    out->session = hb_get_u16(&r);
    out->sequence = hb_get_u16(&r);
    out->length = hb_get_u16(&r);
    out->payload = decoder->buffer + HB_HEADER_BYTES;
    size_t body = filled - HB_CRC_BYTES;
    struct hb_reader crc = {decoder->buffer + body, HB_CRC_BYTES, true};
    return out->length == body - HB_HEADER_BYTES &&
           hb_get_u32(&crc) == hb_crc32(0, decoder->buffer, body);
}

bool hb_packet_feed(struct hb_decoder *decoder, const uint8_t **at, const uint8_t *end,
                    struct hb_packet *out) {
    while (*at < end) {
        uint8_t byte = *(*at)++;
        if (byte != 0) {
            unstuff(decoder, byte);
            continue;
        }
        bool any = decoder->code != 0;
        bool good = any && parse(decoder, out);
        decoder->filled = 0;
        decoder->code = 0;
        decoder->block_left = 0;
        if (good) {
            decoder->good_packets++;
            return true;
        }
        if (any) {
            decoder->bad_packets++;
        }
    }
    return false;
}

void hb_packet_send(uint8_t type, uint16_t session, uint16_t sequence, struct hb_tail head,
                    struct hb_tail tail) {
    uint8_t header[HB_HEADER_BYTES], trailer[HB_CRC_BYTES];
    struct hb_writer w = {header, sizeof header, true};
    hb_put_u8(&w, HB_PROTOCOL_VERSION);
    hb_put_u8(&w, type);
    hb_put_u16(&w, session);
    hb_put_u16(&w, sequence);
    hb_put_u16(&w, (uint16_t)(head.length + tail.length));
    uint32_t crc = hb_crc32(0, header, sizeof header);
    crc = hb_crc32(crc, head.at, head.length);
    crc = hb_crc32(crc, tail.at, tail.length);
    struct hb_writer t = {trailer, sizeof trailer, true};
    hb_put_u32(&t, crc);

    const struct hb_tail pieces[] = {
        {header, sizeof header}, head, tail, {trailer, sizeof trailer}};
    static const uint8_t delimiter = 0;
    hb_port_uart_write(&delimiter, 1);
    hb_cobs_write(pieces, sizeof pieces / sizeof pieces[0], hb_port_uart_write);
    hb_port_uart_write(&delimiter, 1);
}
