/* Packets against golden bytes; whatever is damaged is never accepted. */
#include "check.h"
#include "fake_port.h"
#include "golden_types.h"
#include "hb_cobs.h"
#include "hb_crc32.h"
#include "hb_packet.h"

#include "golden.h"

static struct hb_decoder decoder;
static struct hb_packet packet;

/* Feeds in pieces of `step` bytes; returns how many packets came out, the last one in `packet`. */
static unsigned feed(const uint8_t *bytes, size_t length, size_t step) {
    unsigned packets = 0;
    for (size_t from = 0; from < length; from += step) {
        const uint8_t *at = bytes + from;
        const uint8_t *end = bytes + (from + step < length ? from + step : length);
        while (hb_packet_feed(&decoder, &at, end, &packet)) {
            packets++;
        }
    }
    return packets;
}

static bool is_golden(const struct golden *g) {
    return packet.version == HB_PROTOCOL_VERSION && packet.type == g->type &&
           packet.session == g->session && packet.sequence == g->sequence &&
           packet.length == g->payload_bytes &&
           memcmp(packet.payload, g->payload, g->payload_bytes) == 0;
}

static void golden_packets_are_understood(void) {
    for (const struct golden *g = golden; g < golden + GOLDEN_COUNT; ++g) {
        for (size_t step = 1; step <= g->wire_bytes; ++step) {
            CHECK_EQ(feed(g->wire, g->wire_bytes, step), 1);
            CHECK(is_golden(g));
        }
        CHECK(g->fields_match(packet.payload, packet.length));
    }
    CHECK_EQ(decoder.bad_packets, 0);
}

static void golden_packets_are_made(void) {
    for (const struct golden *g = golden; g < golden + GOLDEN_COUNT; ++g) {
        for (size_t cut = 0; cut <= g->payload_bytes; ++cut) {
            struct hb_tail head = {g->payload, cut};
            struct hb_tail tail = {g->payload + cut, g->payload_bytes - cut};
            fake_port_reset();
            hb_packet_send(g->type, g->session, g->sequence, head, tail);
            CHECK_EQ(fake.tx_length, g->wire_bytes);
            CHECK(memcmp(fake.tx, g->wire, g->wire_bytes) == 0);
        }
    }
}

static void payloads_of_wrong_length_are_refused(void) {
    for (const struct golden *g = golden; g < golden + GOLDEN_COUNT; ++g) {
        uint8_t longer[512] = {0};
        memcpy(longer, g->payload, g->payload_bytes);
        bool has_tail = g->type == HB_TYPE_DATA || g->type == HB_TYPE_READ_DATA ||
                        g->type == HB_TYPE_ECHO || g->type == HB_TYPE_ECHO_REPLY ||
                        g->type == HB_TYPE_LOG;
        if (!has_tail) {
            for (size_t length = 0; length < g->payload_bytes; ++length) {
                CHECK(!g->fields_match(g->payload, length));
            }
            CHECK(!g->fields_match(longer, g->payload_bytes + 1));
        }
    }
}

/* A damaged packet gives nothing, and the packet after it is heard. */
static void damaged(const uint8_t *bytes, size_t length) {
    const struct golden *after = &golden[0];
    CHECK_EQ(feed(bytes, length, length), 0);
    CHECK_EQ(feed(after->wire, after->wire_bytes, after->wire_bytes), 1);
    CHECK(is_golden(after));
}

static void truncated_packets_are_dropped(void) {
    for (const struct golden *g = golden; g < golden + GOLDEN_COUNT; ++g) {
        for (size_t length = 1; length + 1 < g->wire_bytes; ++length) {
            damaged(g->wire, length);                          /* the end is missing */
            damaged(g->wire + g->wire_bytes - length, length); /* the beginning is */
        }
    }
}

static void flipped_bits_are_dropped(void) {
    for (const struct golden *g = golden; g < golden + GOLDEN_COUNT; ++g) {
        for (size_t bit = 8; bit < 8 * (g->wire_bytes - 1); ++bit) {
            uint8_t bad[512];
            memcpy(bad, g->wire, g->wire_bytes);
            bad[bit / 8] = (uint8_t)(bad[bit / 8] ^ 1u << bit % 8);
            damaged(bad, g->wire_bytes);
        }
    }
}

/* Intact by its CRC, but the length field says otherwise. */
static void wrong_length_is_dropped(void) {
    for (uint16_t length = 1; length <= 0x101; length = (uint16_t)(length + 0x100)) {
        uint8_t body[HB_HEADER_BYTES], crc_bytes[HB_CRC_BYTES];
        struct hb_writer w = {body, sizeof body, true}, c = {crc_bytes, sizeof crc_bytes, true};
        hb_put_u8(&w, HB_PROTOCOL_VERSION);
        hb_put_u8(&w, HB_TYPE_ECHO);
        hb_put_u32(&w, 0x00010001);
        hb_put_u16(&w, length); /* there is no payload */
        hb_put_u32(&c, hb_crc32(0, body, sizeof body));
        const struct hb_tail pieces[] = {{body, sizeof body}, {crc_bytes, sizeof crc_bytes}};
        fake_port_reset();
        hb_cobs_write(pieces, 2, hb_port_uart_write);
        hb_port_uart_write((const uint8_t *)"", 1);
        damaged(fake.tx, fake.tx_length);
    }
}

static void too_long_a_run_is_counted_once(void) {
    static uint8_t noise[5000];
    memset(noise, 0x41, sizeof noise);
    memset(&decoder, 0, sizeof decoder);
    damaged(noise, sizeof noise);
    CHECK_EQ(decoder.bad_packets, 1);
    CHECK_EQ(decoder.good_packets, 1);
}

static void largest_packet_fits_and_one_more_byte_does_not(void) {
    static uint8_t payload[HB_PACKET_BYTES + 1];
    struct hb_tail none = {NULL, 0}, most = {payload, HB_PACKET_BYTES},
                   more = {payload, sizeof payload};
    memset(payload, 0x99, sizeof payload);
    fake_port_reset();
    hb_packet_send(HB_TYPE_ECHO, 1, 2, most, none);
    CHECK_EQ(feed(fake.tx, fake.tx_length, 64), 1);
    CHECK_EQ(packet.length, HB_PACKET_BYTES);
    fake_port_reset();
    hb_packet_send(HB_TYPE_ECHO, 1, 2, more, none);
    damaged(fake.tx, fake.tx_length);
}

int main(void) {
    golden_packets_are_understood();
    golden_packets_are_made();
    payloads_of_wrong_length_are_refused();
    truncated_packets_are_dropped();
    flipped_bits_are_dropped();
    wrong_length_is_dropped();
    too_long_a_run_is_counted_once();
    largest_packet_fits_and_one_more_byte_does_not();
    (void)digests;
    puts("packet: ok");
}
