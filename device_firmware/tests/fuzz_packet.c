/* Any bytes into the packet decoder, in one piece and byte by byte: the same packets, no fault. */
#include "fake_port.h"
#include "hb_packet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct hb_decoder whole, single;
    struct hb_packet a, b;
    memset(&whole, 0, sizeof whole);
    memset(&single, 0, sizeof single);
    const uint8_t *at = bytes, *fed = bytes;
    while (hb_packet_feed(&whole, &at, bytes + length, &a)) {
        bool found = false;
        while (!found && fed < bytes + length) {
            found = hb_packet_feed(&single, &fed, fed + 1, &b);
        }
        if (!found || a.type != b.type || a.length != b.length ||
            memcmp(a.payload, b.payload, a.length) != 0) {
            abort();
        }
    }
    return 0;
}
