#include "hb_cobs.h"

struct place {
    size_t piece;
    size_t offset;
};

/* Moves to the next piece that has bytes left; false at the end of all. */
static bool settle(const struct hb_tail *pieces, size_t count, struct place *at) {
    while (at->piece < count && at->offset == pieces[at->piece].length) {
        at->piece++;
        at->offset = 0;
    }
    return at->piece < count;
}

/* Bytes from `at` to the next zero, to the end, or 254; moves `at` there. */
static uint8_t run_length(const struct hb_tail *pieces, size_t count, struct place *at) {
    uint8_t run = 0;
    while (run < HB_COBS_FULL_BLOCK - 1 && settle(pieces, count, at)) {
        /* The line waits meanwhile: few steps a byte. */
        const uint8_t *byte = pieces[at->piece].at + at->offset;
        size_t most = HB_COBS_FULL_BLOCK - 1u - run, left = pieces[at->piece].length - at->offset;
        uint8_t part = 0;
        most = left < most ? left : most;
        while (part < most && byte[part] != 0) {
            part++;
        }
        at->offset += part;
        run = (uint8_t)(run + part);
        if (part < most) {
            break; /* a zero */
        }
    }
    return run;
}

void hb_cobs_write(const struct hb_tail *pieces, size_t count,
                   void (*write)(const uint8_t *data, size_t length)) {
    struct place from = {0, 0};
    bool more = true;
    while (more) {
        struct place to = from;
        uint8_t run = run_length(pieces, count, &to);
        uint8_t code = (uint8_t)(run + 1u);
        write(&code, 1);
        while (run > 0 && settle(pieces, count, &from)) {
            size_t left = pieces[from.piece].length - from.offset;
            size_t part = left < run ? left : run;
            write(pieces[from.piece].at + from.offset, part);
            from.offset += part;
            run = (uint8_t)(run - part);
        }
        more = settle(pieces, count, &from);
        if (more && code != HB_COBS_FULL_BLOCK) {
            from.offset++; /* the zero; when it is the last byte, an empty block follows */
        }
    }
}
