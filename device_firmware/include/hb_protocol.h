/* Generated from hilbench/protocol/messages.py by hilbench/protocol/generate_c.py; do not edit.
 *
 * hb_encode_*() return the bytes written, or HB_NO_ROOM when they do not fit.
 * hb_decode_*() return false unless the payload is exactly one such message; text and tail fields
 * then point into the payload. Fields are little endian without padding, whatever the machine. */
#ifndef HB_PROTOCOL_H
#define HB_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HB_PROTOCOL_VERSION  2
#define HB_HEADER_BYTES      8
#define HB_CRC_BYTES         4
#define HB_MAX_PAYLOAD_BYTES 65535
#define HB_NO_ROOM           SIZE_MAX
#define HB_GUARD_US          20000u
#define HB_PATTERN           0x712u /* first chip highest */
#define HB_PATTERN_CHIPS     11

enum hb_type {
    HB_TYPE_HELLO = 0x01,
    HB_TYPE_HELLO_REPLY = 0x81,
    HB_TYPE_LOAD = 0x02,
    HB_TYPE_LOADED = 0x82,
    HB_TYPE_DATA = 0x03,
    HB_TYPE_DATA_ACK = 0x83,
    HB_TYPE_RUN = 0x04,
    HB_TYPE_RUN_STARTED = 0x84,
    HB_TYPE_RUN_DONE = 0x85,
    HB_TYPE_READ = 0x06,
    HB_TYPE_READ_DATA = 0x86,
    HB_TYPE_MEMORY = 0x07,
    HB_TYPE_MEMORY_REPLY = 0x87,
    HB_TYPE_IDLE = 0x08,
    HB_TYPE_IDLE_DONE = 0x88,
    HB_TYPE_ECHO = 0x09,
    HB_TYPE_ECHO_REPLY = 0x89,
    HB_TYPE_RESET = 0x0a,
    HB_TYPE_RESET_ACK = 0x8a,
    HB_TYPE_LINK_STATS = 0x0b,
    HB_TYPE_LINK_STATS_REPLY = 0x8b,
    HB_TYPE_LOG = 0xc0,
    HB_TYPE_ERROR = 0xc1,
};

/* What DATA and READ address, in bytes from its start. */
enum hb_region {
    HB_REGION_POOL = 0,
    HB_REGION_INPUT = 1,
    HB_REGION_OUTPUT = 2,
    HB_REGION_TICKS = 3,
    HB_REGION_PROFILE = 4,
    HB_REGION_HISTOGRAM = 5,
};

/* What a RUN does besides timing. */
enum hb_run_flag {
    HB_RUN_MARKER_WINDOW = 1,
    HB_RUN_MARKER_EACH = 2,
    HB_RUN_PROFILE = 4,
    HB_RUN_PUSH_OUTPUTS = 8,
    HB_RUN_PUSH_TICKS = 16,
    HB_RUN_MARKER_OPERATORS = 32,
    HB_RUN_GUARD = 64,
    HB_RUN_PATTERN = 128,
};

/* How the port knows the rate of its counter. */
enum hb_clock_source {
    HB_CLOCK_REGISTER = 0,
    HB_CLOCK_MEASURED = 1,
    HB_CLOCK_DECLARED = 2,
};

/* Why the firmware refused; the two details are explained beside each. */
enum hb_error_code {
    HB_ERROR_BAD_REQUEST = 1,
    HB_ERROR_WRONG_SESSION = 2,
    HB_ERROR_BAD_REGION = 3,
    HB_ERROR_OUT_OF_RANGE = 4,
    HB_ERROR_NO_MODEL = 5,
    HB_ERROR_HASH_MISMATCH = 6,
    HB_ERROR_BAD_MODEL = 7,
    HB_ERROR_TOO_LARGE = 8,
    HB_ERROR_INPUT_MISMATCH = 9,
    HB_ERROR_NO_RESTORE = 10,
    HB_ERROR_INVOKE_FAILED = 11,
    HB_ERROR_TICKS_OVERFLOW = 12,
    HB_ERROR_PROFILE_TOO_LONG = 13,
    HB_ERROR_STALE_RUN = 14,
};

struct hb_text {
    const char *at; /* UTF-8, no terminator */
    uint8_t length;
};

struct hb_tail {
    const uint8_t *at;
    size_t length;
};

struct hb_writer {
    uint8_t *at;
    size_t left;
    bool ok;
};

struct hb_reader {
    const uint8_t *at;
    size_t left;
    bool ok;
};

static inline void hb_put_bytes(struct hb_writer *w, const void *bytes, size_t length) {
    if (!w->ok || length > w->left) {
        w->ok = false;
        return;
    }
    if (length > 0) {
        memcpy(w->at, bytes, length);
        w->at += length;
        w->left -= length;
    }
}

static inline void hb_put_text(struct hb_writer *w, struct hb_text text) {
    hb_put_bytes(w, &text.length, 1);
    hb_put_bytes(w, text.at, text.length);
}

static inline const uint8_t *hb_get_bytes(struct hb_reader *r, size_t length) {
    const uint8_t *at = r->at;
    if (!r->ok || length > r->left) {
        r->ok = false;
        return NULL;
    }
    r->at += length;
    r->left -= length;
    return at;
}

static inline void hb_get_blob(struct hb_reader *r, uint8_t *out, size_t length) {
    const uint8_t *at = hb_get_bytes(r, length);
    if (at != NULL) {
        memcpy(out, at, length);
    }
}

static inline void hb_put_u8(struct hb_writer *w, uint8_t value) {
    hb_put_bytes(w, &value, 1);
}

static inline uint8_t hb_get_u8(struct hb_reader *r) {
    const uint8_t *at = hb_get_bytes(r, 1);
    return at != NULL ? at[0] : 0;
}

static inline void hb_put_u16(struct hb_writer *w, uint16_t value) {
    uint8_t bytes[2];
    for (size_t i = 0; i < 2; ++i) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    hb_put_bytes(w, bytes, 2);
}

static inline uint16_t hb_get_u16(struct hb_reader *r) {
    uint16_t value = 0;
    const uint8_t *at = hb_get_bytes(r, 2);
    for (size_t i = 0; at != NULL && i < 2; ++i) {
        value = (uint16_t)(value | (uint16_t)((uint16_t)at[i] << (8 * i)));
    }
    return value;
}

static inline void hb_put_u32(struct hb_writer *w, uint32_t value) {
    uint8_t bytes[4];
    for (size_t i = 0; i < 4; ++i) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    hb_put_bytes(w, bytes, 4);
}

static inline uint32_t hb_get_u32(struct hb_reader *r) {
    uint32_t value = 0;
    const uint8_t *at = hb_get_bytes(r, 4);
    for (size_t i = 0; at != NULL && i < 4; ++i) {
        value = (uint32_t)(value | (uint32_t)((uint32_t)at[i] << (8 * i)));
    }
    return value;
}

static inline void hb_put_u64(struct hb_writer *w, uint64_t value) {
    uint8_t bytes[8];
    for (size_t i = 0; i < 8; ++i) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    hb_put_bytes(w, bytes, 8);
}

static inline uint64_t hb_get_u64(struct hb_reader *r) {
    uint64_t value = 0;
    const uint8_t *at = hb_get_bytes(r, 8);
    for (size_t i = 0; at != NULL && i < 8; ++i) {
        value = (uint64_t)(value | (uint64_t)((uint64_t)at[i] << (8 * i)));
    }
    return value;
}

static inline struct hb_text hb_get_text(struct hb_reader *r) {
    struct hb_text text = {NULL, hb_get_u8(r)};
    text.at = (const char *)hb_get_bytes(r, text.length);
    return text;
}

/* HELLO: Start a session: the header's session token holds from here on. */
static inline bool hb_decode_hello(size_t length) {
    return length == 0;
}

/* HELLO_REPLY: Who the board is; also sent once, with session 0, after every reset. */
struct hb_hello_reply {
    uint8_t protocol_version;
    uint8_t clock_source;
    uint8_t port_untested;
    uint8_t counter_bits;
    uint32_t counter_hz;
    uint32_t counter_overhead_ticks;
    uint16_t packet_bytes;
    uint32_t window_bytes;
    uint32_t pool_bytes;
    uint64_t pool_address;
    uint32_t ticks_capacity;
    uint16_t profile_capacity;
    uint32_t stack_bytes;
    uint8_t model_loaded;
    uint8_t model_sha256[32];
    uint8_t build_id[20];
    struct hb_text port;
    struct hb_text chip;
    struct hb_text unique_id;
    struct hb_text runtime;
    struct hb_text kernels;
};
enum { HB_HELLO_REPLY_BYTES = 98 };

static inline size_t hb_encode_hello_reply(uint8_t *out, size_t cap,
                                           const struct hb_hello_reply *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u8(&w, m->protocol_version);
    hb_put_u8(&w, m->clock_source);
    hb_put_u8(&w, m->port_untested);
    hb_put_u8(&w, m->counter_bits);
    hb_put_u32(&w, m->counter_hz);
    hb_put_u32(&w, m->counter_overhead_ticks);
    hb_put_u16(&w, m->packet_bytes);
    hb_put_u32(&w, m->window_bytes);
    hb_put_u32(&w, m->pool_bytes);
    hb_put_u64(&w, m->pool_address);
    hb_put_u32(&w, m->ticks_capacity);
    hb_put_u16(&w, m->profile_capacity);
    hb_put_u32(&w, m->stack_bytes);
    hb_put_u8(&w, m->model_loaded);
    hb_put_bytes(&w, m->model_sha256, 32);
    hb_put_bytes(&w, m->build_id, 20);
    hb_put_text(&w, m->port);
    hb_put_text(&w, m->chip);
    hb_put_text(&w, m->unique_id);
    hb_put_text(&w, m->runtime);
    hb_put_text(&w, m->kernels);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_hello_reply(struct hb_hello_reply *m, const uint8_t *payload,
                                         size_t length) {
    struct hb_reader r = {payload, length, true};
    m->protocol_version = hb_get_u8(&r);
    m->clock_source = hb_get_u8(&r);
    m->port_untested = hb_get_u8(&r);
    m->counter_bits = hb_get_u8(&r);
    m->counter_hz = hb_get_u32(&r);
    m->counter_overhead_ticks = hb_get_u32(&r);
    m->packet_bytes = hb_get_u16(&r);
    m->window_bytes = hb_get_u32(&r);
    m->pool_bytes = hb_get_u32(&r);
    m->pool_address = hb_get_u64(&r);
    m->ticks_capacity = hb_get_u32(&r);
    m->profile_capacity = hb_get_u16(&r);
    m->stack_bytes = hb_get_u32(&r);
    m->model_loaded = hb_get_u8(&r);
    hb_get_blob(&r, m->model_sha256, 32);
    hb_get_blob(&r, m->build_id, 20);
    m->port = hb_get_text(&r);
    m->chip = hb_get_text(&r);
    m->unique_id = hb_get_text(&r);
    m->runtime = hb_get_text(&r);
    m->kernels = hb_get_text(&r);
    return r.ok && r.left == 0;
}

/* LOAD: Verify the first bytes of POOL against a hash, then load them as a model. */
struct hb_load {
    uint32_t length;
    uint8_t sha256[32];
};
enum { HB_LOAD_BYTES = 36 };

static inline size_t hb_encode_load(uint8_t *out, size_t cap, const struct hb_load *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u32(&w, m->length);
    hb_put_bytes(&w, m->sha256, 32);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_load(struct hb_load *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->length = hb_get_u32(&r);
    hb_get_blob(&r, m->sha256, 32);
    return r.ok && r.left == 0;
}

/* LOADED: The model is loaded; what it needs and how many vectors fit beside it. */
struct hb_loaded {
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t arena_bytes;
    uint16_t operators;
    uint16_t slots;
};
enum { HB_LOADED_BYTES = 16 };

static inline size_t hb_encode_loaded(uint8_t *out, size_t cap, const struct hb_loaded *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u32(&w, m->input_bytes);
    hb_put_u32(&w, m->output_bytes);
    hb_put_u32(&w, m->arena_bytes);
    hb_put_u16(&w, m->operators);
    hb_put_u16(&w, m->slots);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_loaded(struct hb_loaded *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->input_bytes = hb_get_u32(&r);
    m->output_bytes = hb_get_u32(&r);
    m->arena_bytes = hb_get_u32(&r);
    m->operators = hb_get_u16(&r);
    m->slots = hb_get_u16(&r);
    return r.ok && r.left == 0;
}

/* DATA: Write bytes to a region; idempotent, in any order. */
struct hb_data {
    uint8_t region;
    uint32_t offset;
    struct hb_tail data;
};
enum { HB_DATA_BYTES = 5 };

static inline size_t hb_encode_data(uint8_t *out, size_t cap, const struct hb_data *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u8(&w, m->region);
    hb_put_u32(&w, m->offset);
    hb_put_bytes(&w, m->data.at, m->data.length);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_data(struct hb_data *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->region = hb_get_u8(&r);
    m->offset = hb_get_u32(&r);
    m->data.length = r.left;
    m->data.at = hb_get_bytes(&r, r.left);
    return r.ok && r.left == 0;
}

/* DATA_ACK: The DATA packet with this sequence number is in memory. */
static inline bool hb_decode_data_ack(size_t length) {
    return length == 0;
}

/* RUN: Run inferences; the line stays silent from RUN_STARTED to RUN_DONE. */
struct hb_run {
    uint16_t first_slot;
    uint16_t slots;
    uint32_t warm_up;
    uint32_t iterations;
    uint8_t flags;
    uint32_t input_crc32;
};
enum { HB_RUN_BYTES = 17 };

static inline size_t hb_encode_run(uint8_t *out, size_t cap, const struct hb_run *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u16(&w, m->first_slot);
    hb_put_u16(&w, m->slots);
    hb_put_u32(&w, m->warm_up);
    hb_put_u32(&w, m->iterations);
    hb_put_u8(&w, m->flags);
    hb_put_u32(&w, m->input_crc32);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_run(struct hb_run *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->first_slot = hb_get_u16(&r);
    m->slots = hb_get_u16(&r);
    m->warm_up = hb_get_u32(&r);
    m->iterations = hb_get_u32(&r);
    m->flags = hb_get_u8(&r);
    m->input_crc32 = hb_get_u32(&r);
    return r.ok && r.left == 0;
}

/* RUN_STARTED: RUN is accepted; nothing more may be sent until RUN_DONE. */
static inline bool hb_decode_run_started(size_t length) {
    return length == 0;
}

/* RUN_DONE: What the timed loop saw. Ticks are of the port's counter, reading cost subtracted. */
struct hb_run_done {
    uint32_t inferences;
    uint32_t ticks_stored;
    uint64_t ticks_sum;
    uint32_t ticks_min;
    uint32_t ticks_max;
    uint8_t cold_valid;
    uint32_t cold_ticks;
    uint64_t restore_ticks_sum;
    uint8_t outputs_equal;
    uint32_t rx_bytes_during;
    uint16_t operators;
    uint64_t window_ticks;
};
enum { HB_RUN_DONE_BYTES = 52 };

static inline size_t hb_encode_run_done(uint8_t *out, size_t cap, const struct hb_run_done *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u32(&w, m->inferences);
    hb_put_u32(&w, m->ticks_stored);
    hb_put_u64(&w, m->ticks_sum);
    hb_put_u32(&w, m->ticks_min);
    hb_put_u32(&w, m->ticks_max);
    hb_put_u8(&w, m->cold_valid);
    hb_put_u32(&w, m->cold_ticks);
    hb_put_u64(&w, m->restore_ticks_sum);
    hb_put_u8(&w, m->outputs_equal);
    hb_put_u32(&w, m->rx_bytes_during);
    hb_put_u16(&w, m->operators);
    hb_put_u64(&w, m->window_ticks);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_run_done(struct hb_run_done *m, const uint8_t *payload,
                                      size_t length) {
    struct hb_reader r = {payload, length, true};
    m->inferences = hb_get_u32(&r);
    m->ticks_stored = hb_get_u32(&r);
    m->ticks_sum = hb_get_u64(&r);
    m->ticks_min = hb_get_u32(&r);
    m->ticks_max = hb_get_u32(&r);
    m->cold_valid = hb_get_u8(&r);
    m->cold_ticks = hb_get_u32(&r);
    m->restore_ticks_sum = hb_get_u64(&r);
    m->outputs_equal = hb_get_u8(&r);
    m->rx_bytes_during = hb_get_u32(&r);
    m->operators = hb_get_u16(&r);
    m->window_ticks = hb_get_u64(&r);
    return r.ok && r.left == 0;
}

/* READ: Ask for bytes of a region; they come as READ_DATA packets of at most packet_bytes. */
struct hb_read {
    uint8_t region;
    uint32_t offset;
    uint32_t length;
};
enum { HB_READ_BYTES = 9 };

static inline size_t hb_encode_read(uint8_t *out, size_t cap, const struct hb_read *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u8(&w, m->region);
    hb_put_u32(&w, m->offset);
    hb_put_u32(&w, m->length);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_read(struct hb_read *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->region = hb_get_u8(&r);
    m->offset = hb_get_u32(&r);
    m->length = hb_get_u32(&r);
    return r.ok && r.left == 0;
}

/* READ_DATA: A piece of a region; also pushed after RUN_DONE with RUN's sequence number. */
struct hb_read_data {
    uint8_t region;
    uint32_t offset;
    struct hb_tail data;
};
enum { HB_READ_DATA_BYTES = 5 };

static inline size_t hb_encode_read_data(uint8_t *out, size_t cap, const struct hb_read_data *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u8(&w, m->region);
    hb_put_u32(&w, m->offset);
    hb_put_bytes(&w, m->data.at, m->data.length);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_read_data(struct hb_read_data *m, const uint8_t *payload,
                                       size_t length) {
    struct hb_reader r = {payload, length, true};
    m->region = hb_get_u8(&r);
    m->offset = hb_get_u32(&r);
    m->data.length = r.left;
    m->data.at = hb_get_bytes(&r, r.left);
    return r.ok && r.left == 0;
}

/* MEMORY: Ask for memory figures. */
static inline bool hb_decode_memory(size_t length) {
    return length == 0;
}

/* MEMORY_REPLY: Stack by painting (a lower bound), the rest as laid out. */
struct hb_memory_reply {
    uint32_t stack_bytes;
    uint32_t stack_used_bytes;
    uint32_t model_bytes;
    uint32_t arena_bytes;
    uint32_t vector_bytes;
};
enum { HB_MEMORY_REPLY_BYTES = 20 };

static inline size_t hb_encode_memory_reply(uint8_t *out, size_t cap,
                                            const struct hb_memory_reply *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u32(&w, m->stack_bytes);
    hb_put_u32(&w, m->stack_used_bytes);
    hb_put_u32(&w, m->model_bytes);
    hb_put_u32(&w, m->arena_bytes);
    hb_put_u32(&w, m->vector_bytes);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_memory_reply(struct hb_memory_reply *m, const uint8_t *payload,
                                          size_t length) {
    struct hb_reader r = {payload, length, true};
    m->stack_bytes = hb_get_u32(&r);
    m->stack_used_bytes = hb_get_u32(&r);
    m->model_bytes = hb_get_u32(&r);
    m->arena_bytes = hb_get_u32(&r);
    m->vector_bytes = hb_get_u32(&r);
    return r.ok && r.left == 0;
}

/* IDLE: Sleep, for a baseline of current. */
struct hb_idle {
    uint32_t duration_us;
    uint8_t marker;
};
enum { HB_IDLE_BYTES = 5 };

static inline size_t hb_encode_idle(uint8_t *out, size_t cap, const struct hb_idle *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u32(&w, m->duration_us);
    hb_put_u8(&w, m->marker);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_idle(struct hb_idle *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->duration_us = hb_get_u32(&r);
    m->marker = hb_get_u8(&r);
    return r.ok && r.left == 0;
}

/* IDLE_DONE: The sleep is over; how long it was by the device's own counter. */
struct hb_idle_done {
    uint64_t ticks;
};
enum { HB_IDLE_DONE_BYTES = 8 };

static inline size_t hb_encode_idle_done(uint8_t *out, size_t cap, const struct hb_idle_done *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u64(&w, m->ticks);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_idle_done(struct hb_idle_done *m, const uint8_t *payload,
                                       size_t length) {
    struct hb_reader r = {payload, length, true};
    m->ticks = hb_get_u64(&r);
    return r.ok && r.left == 0;
}

/* ECHO: Send bytes back. */
struct hb_echo {
    struct hb_tail data;
};
enum { HB_ECHO_BYTES = 0 };

static inline size_t hb_encode_echo(uint8_t *out, size_t cap, const struct hb_echo *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_bytes(&w, m->data.at, m->data.length);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_echo(struct hb_echo *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->data.length = r.left;
    m->data.at = hb_get_bytes(&r, r.left);
    return r.ok && r.left == 0;
}

/* ECHO_REPLY: The bytes of ECHO. */
struct hb_echo_reply {
    struct hb_tail data;
};
enum { HB_ECHO_REPLY_BYTES = 0 };

static inline size_t hb_encode_echo_reply(uint8_t *out, size_t cap, const struct hb_echo_reply *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_bytes(&w, m->data.at, m->data.length);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_echo_reply(struct hb_echo_reply *m, const uint8_t *payload,
                                        size_t length) {
    struct hb_reader r = {payload, length, true};
    m->data.length = r.left;
    m->data.at = hb_get_bytes(&r, r.left);
    return r.ok && r.left == 0;
}

/* RESET: Reset the board; an unasked HELLO_REPLY with session 0 follows the boot. */
static inline bool hb_decode_reset(size_t length) {
    return length == 0;
}

/* RESET_ACK: The board is about to reset. */
static inline bool hb_decode_reset_ack(size_t length) {
    return length == 0;
}

/* LINK_STATS: Ask what the board's receiver saw since reset. */
static inline bool hb_decode_link_stats(size_t length) {
    return length == 0;
}

/* LINK_STATS_REPLY: Counters since reset. */
struct hb_link_stats_reply {
    uint32_t good_packets;
    uint32_t bad_packets;
    uint32_t overruns;
};
enum { HB_LINK_STATS_REPLY_BYTES = 12 };

static inline size_t hb_encode_link_stats_reply(uint8_t *out, size_t cap,
                                                const struct hb_link_stats_reply *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u32(&w, m->good_packets);
    hb_put_u32(&w, m->bad_packets);
    hb_put_u32(&w, m->overruns);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_link_stats_reply(struct hb_link_stats_reply *m, const uint8_t *payload,
                                              size_t length) {
    struct hb_reader r = {payload, length, true};
    m->good_packets = hb_get_u32(&r);
    m->bad_packets = hb_get_u32(&r);
    m->overruns = hb_get_u32(&r);
    return r.ok && r.left == 0;
}

/* LOG: Text from the firmware, for people. */
struct hb_log {
    uint8_t level;
    struct hb_tail text;
};
enum { HB_LOG_BYTES = 1 };

static inline size_t hb_encode_log(uint8_t *out, size_t cap, const struct hb_log *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u8(&w, m->level);
    hb_put_bytes(&w, m->text.at, m->text.length);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_log(struct hb_log *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->level = hb_get_u8(&r);
    m->text.length = r.left;
    m->text.at = hb_get_bytes(&r, r.left);
    return r.ok && r.left == 0;
}

/* ERROR: The request with this sequence number was refused. */
struct hb_error {
    uint8_t request;
    uint8_t code;
    uint32_t detail0;
    uint32_t detail1;
};
enum { HB_ERROR_BYTES = 10 };

static inline size_t hb_encode_error(uint8_t *out, size_t cap, const struct hb_error *m) {
    struct hb_writer w = {out, cap, true};
    hb_put_u8(&w, m->request);
    hb_put_u8(&w, m->code);
    hb_put_u32(&w, m->detail0);
    hb_put_u32(&w, m->detail1);
    return w.ok ? (size_t)(w.at - out) : HB_NO_ROOM;
}

static inline bool hb_decode_error(struct hb_error *m, const uint8_t *payload, size_t length) {
    struct hb_reader r = {payload, length, true};
    m->request = hb_get_u8(&r);
    m->code = hb_get_u8(&r);
    m->detail0 = hb_get_u32(&r);
    m->detail1 = hb_get_u32(&r);
    return r.ok && r.left == 0;
}

#endif
