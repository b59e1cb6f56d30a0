/* Any bytes, and any well-packed requests, into the command loop: no fault, and HELLO is answered
 * afterwards.
 *
 * Input: first byte even: the rest is the line. Odd: requests as type, length, payload, which get a
 * header, a CRC, the right session, and LOAD the right hash, so that the depths are reached. */
#include "fake_port.h"
#include "fake_runtime.h"
#include "hb_core.h"
#include "hb_crc32.h"
#include "hb_packet.h"
#include "hb_sha256.h"

#include <stdlib.h>
#include <string.h>

#define SESSION 7

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void request(uint8_t type, uint16_t sequence, const uint8_t *payload, size_t length) {
    struct hb_tail head = {payload, length}, none = {NULL, 0};
    uint8_t wire[1024];
    fake.tx_length = 0;
    hb_packet_send(type, SESSION, sequence, head, none);
    memcpy(wire, fake.tx, fake.tx_length);
    fake_port_receive(wire, fake.tx_length);
    fake.tx_length = 0;
    while (hb_core_poll()) {
    }
}

/* Keeps runs short and lets checks pass that random bytes never would. */
static void make_plausible(uint8_t type, uint8_t *payload, size_t length) {
    struct hb_load load;
    struct hb_run run;
    if (type == HB_TYPE_LOAD && hb_decode_load(&load, payload, length)) {
        load.length %= FAKE_POOL_BYTES + 2;
        if (load.length <= FAKE_POOL_BYTES) {
            hb_sha256(fake.pool, load.length, load.sha256);
        }
        hb_encode_load(payload, length, &load);
    } else if (type == HB_TYPE_RUN && hb_decode_run(&run, payload, length)) {
        static const uint8_t one_slot[FAKE_POOL_BYTES] = {0};
        run.warm_up %= 4;
        run.iterations %= 20;
        run.slots = run.slots > 4 ? run.slots % 4 : run.slots;
        /* Inputs that nobody wrote are zeros. */
        run.input_crc32 = hb_crc32(0, one_slot, run.slots * (size_t)fake.pool[1] % FAKE_POOL_BYTES);
        hb_encode_run(payload, length, &run);
    }
}

static void requests(const uint8_t *bytes, size_t length) {
    uint16_t sequence = 2;
    request(HB_TYPE_HELLO, 1, NULL, 0);
    while (length >= 2) {
        uint8_t payload[255], type = bytes[0];
        size_t part = bytes[1] < length - 2 ? bytes[1] : length - 2;
        memcpy(payload, bytes + 2, part);
        make_plausible(type, payload, part);
        request(type, sequence++, payload, part);
        bytes += 2 + part;
        length -= 2 + part;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static const uint8_t delimiter = 0;
    fake_port_reset();
    memset(&fake_runtime, 0, sizeof fake_runtime);
    hb_core_init();
    if (length > 0 && (bytes[0] & 1)) {
        requests(bytes + 1, length - 1);
    } else if (length > 0) {
        fake_port_receive(bytes + 1, length - 1);
        while (hb_core_poll()) {
        }
    }
    if (fake.quiet || fake.marker || fake.writes_while_quiet > 0) {
        abort();
    }
    fake_port_receive(&delimiter, 1);
    while (hb_core_poll()) {
    }
    request(HB_TYPE_HELLO, 0xABCD, NULL, 0);
    static struct hb_decoder host;
    struct hb_packet packet;
    const uint8_t *at = fake.tx;
    memset(&host, 0, sizeof host);
    if (!hb_packet_feed(&host, &at, fake.tx + fake.tx_length, &packet) ||
        packet.type != HB_TYPE_HELLO_REPLY || packet.sequence != 0xABCD) {
        abort();
    }
    return 0;
}
