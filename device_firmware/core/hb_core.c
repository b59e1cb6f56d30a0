#include "hb_core.h"

#include "hb_crc32.h"
#include "hb_packet.h"
#include "hb_port.h"
#include "hb_run.h"
#include "hb_stack.h"
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "regions TICKS, PROFILE and HISTOGRAM are sent as they lie in memory: little endian"
#endif
#if HB_PACKET_BYTES < 192 || HB_PACKET_BYTES > HB_MAX_PAYLOAD_BYTES
#error "HB_PACKET_BYTES must be from 192 (a HELLO_REPLY) to 65535"
#endif

#define RECEIVE_CHUNK_BYTES 64
#define ALL_RUN_FLAGS                                                                              \
    (HB_RUN_MARKER_WINDOW | HB_RUN_MARKER_EACH | HB_RUN_PROFILE | HB_RUN_PUSH_OUTPUTS |            \
     HB_RUN_PUSH_TICKS | HB_RUN_MARKER_OPERATORS | HB_RUN_GUARD | HB_RUN_PATTERN)
#define ALL_MARKERS (HB_RUN_MARKER_WINDOW | HB_RUN_MARKER_EACH | HB_RUN_MARKER_OPERATORS)

/* The answer to the last executed RUN, to be repeated but never computed again. */
struct last_run {
    bool valid;
    uint16_t sequence;
    uint8_t type; /* RUN_DONE or ERROR */
    uint8_t length;
    uint8_t payload[HB_RUN_DONE_BYTES];
};

static struct {
    struct hb_decoder decoder;
    struct hb_packet request; /* the one being answered */
    uint16_t session;         /* 0: no HELLO yet */
    uint16_t hello_sequence;
    bool discard_input; /* a run has emptied the line: forget what was read before it */
    bool silent;
    bool log_dropped;
    struct last_run last_run;
    struct hb_clock clock;
    struct hb_model model;
    struct hb_measures measures;
} core;

/* ---- answers ---- */

static const struct hb_tail nothing = {NULL, 0};

static void reply(enum hb_type type, const uint8_t *payload, size_t length) {
    struct hb_tail head = {payload, length};
    hb_packet_send((uint8_t)type, core.request.session, core.request.sequence, head, nothing);
}

static size_t encode_error(uint8_t out[HB_ERROR_BYTES], const struct hb_error *error) {
    return hb_encode_error(out, HB_ERROR_BYTES, error);
}

static void refuse_with(struct hb_error *error) {
    uint8_t payload[HB_ERROR_BYTES];
    error->request = core.request.type;
    reply(HB_TYPE_ERROR, payload, encode_error(payload, error));
}

static void refuse(enum hb_error_code code, uint32_t detail0, uint32_t detail1) {
    struct hb_error error = {0, (uint8_t)code, detail0, detail1};
    refuse_with(&error);
}

static void refuse_malformed(void) {
    refuse(HB_ERROR_BAD_REQUEST, core.request.type, (uint32_t)core.request.length);
}

static size_t bounded_length(const char *text, size_t most) {
    size_t length = 0;
    while (length < most && text[length] != '\0') {
        ++length;
    }
    return length;
}

void hb_log(enum hb_log_level level, const char *text) {
    uint8_t level_byte = (uint8_t)level;
    struct hb_tail head = {&level_byte, 1};
    struct hb_tail tail = {(const uint8_t *)text, bounded_length(text, HB_PACKET_BYTES - 1)};
    if (core.silent) {
        core.log_dropped = true;
        return;
    }
    hb_packet_send(HB_TYPE_LOG, core.session, 0, head, tail);
}

static struct hb_text text_of(const char *string) {
    struct hb_text text = {string, (uint8_t)bounded_length(string, UINT8_MAX)};
    return text;
}

static void send_hello(uint16_t session, uint16_t sequence) {
    const struct hb_port_info *info = hb_port_info();
    size_t pool_bytes;
    uint8_t *pool = hb_port_pool(&pool_bytes);
    char unique_id[64];
    size_t unique_id_bytes = hb_port_unique_id(unique_id, sizeof unique_id);
    struct hb_hello_reply hello = {
        .protocol_version = HB_PROTOCOL_VERSION,
        .clock_source = info->clock_source,
        .port_untested = info->untested,
        .counter_bits = info->counter_bits,
        .counter_hz = info->counter_hz,
        .counter_overhead_ticks = core.clock.overhead_ticks,
        .packet_bytes = HB_PACKET_BYTES,
        .window_bytes = HB_WINDOW_BYTES,
        .pool_bytes = (uint32_t)pool_bytes,
        .pool_address = (uintptr_t)pool,
        .ticks_capacity = HB_TICKS_CAPACITY,
        .profile_capacity = HB_PROFILE_CAPACITY,
        .stack_bytes = hb_stack_bytes(),
        .model_loaded = core.model.loaded,
        .port = text_of(info->name),
        .chip = text_of(info->chip),
        .unique_id = {unique_id, (uint8_t)unique_id_bytes},
        .runtime = text_of(hb_runtime_name()),
        .kernels = text_of(hb_runtime_kernels()),
    };
    hb_const_copy(hello.build_id, hb_port_build_id(), sizeof hello.build_id);
    if (core.model.loaded) {
        memcpy(hello.model_sha256, core.model.sha256, sizeof hello.model_sha256);
    }
    /* The receive buffer is free: HELLO has no payload, and at start nothing has arrived. */
    uint8_t *payload = core.decoder.buffer;
    size_t length = hb_encode_hello_reply(payload, HB_PACKET_BYTES, &hello);
    if (length == HB_NO_ROOM) { /* the port's texts are too long for its packets */
        refuse(HB_ERROR_TOO_LARGE, HB_HELLO_REPLY_BYTES, HB_PACKET_BYTES);
        return;
    }
    struct hb_tail head = {payload, length};
    hb_packet_send(HB_TYPE_HELLO_REPLY, session, sequence, head, nothing);
}

/* Apart from send_hello(), so that hashing does not stand on top of its frame: 2 KB boards. */
static void introduce(uint16_t session, uint16_t sequence) {
    hb_model_verify(&core.model);
    send_hello(session, sequence);
}

/* ---- regions ---- */

struct region {
    uint8_t *at;
    uint32_t bytes;
    bool writable;
};

/* False after refusing: the region does not exist, or not before LOAD. */
static bool find_region(uint8_t id, struct region *out) {
    const struct hb_model *model = &core.model;
    struct hb_measures *measures = &core.measures;
    size_t pool_bytes;
    uint8_t *pool = hb_port_pool(&pool_bytes);
    uint32_t slots = hb_model_input_slots(model);
    if (id > HB_REGION_HISTOGRAM) {
        refuse(HB_ERROR_BAD_REGION, id, 0);
        return false;
    }
    if (id != HB_REGION_POOL && !model->loaded) {
        refuse(HB_ERROR_NO_MODEL, 0, 0);
        return false;
    }
    switch (id) {
    case HB_REGION_POOL:
        *out = (struct region){pool, (uint32_t)pool_bytes, true};
        break;
    case HB_REGION_INPUT:
        *out = (struct region){model->inputs, slots * (uint32_t)model->io.input_bytes, true};
        break;
    case HB_REGION_OUTPUT:
        *out = (struct region){model->outputs, slots * (uint32_t)model->io.output_bytes, false};
        break;
    case HB_REGION_TICKS:
        *out = (struct region){(uint8_t *)measures->ticks,
                               measures->ticks_stored * (uint32_t)sizeof measures->ticks[0], false};
        break;
    case HB_REGION_PROFILE:
        *out = (struct region){(uint8_t *)measures->profile,
                               measures->profiled_operators * (uint32_t)sizeof measures->profile[0],
                               false};
        break;
    default:
        *out = (struct region){(uint8_t *)measures->histogram, sizeof measures->histogram, false};
        break;
    }
    return true;
}

/* False after refusing. */
static bool in_range(const struct region *region, uint32_t offset, uint32_t length) {
    uint64_t end = (uint64_t)offset + length;
    if (end > region->bytes) {
        refuse(HB_ERROR_OUT_OF_RANGE, end > UINT32_MAX ? UINT32_MAX : (uint32_t)end, region->bytes);
        return false;
    }
    return true;
}

static void send_region(uint8_t id, const struct region *region, uint32_t offset, uint32_t length) {
    const uint32_t most = HB_PACKET_BYTES - HB_READ_DATA_BYTES;
    do { /* at least one packet, so that a READ of 0 bytes has an answer */
        uint32_t part = length < most ? length : most;
        uint8_t head_bytes[HB_READ_DATA_BYTES];
        struct hb_read_data data = {id, offset, {NULL, 0}};
        struct hb_tail head = {head_bytes,
                               hb_encode_read_data(head_bytes, sizeof head_bytes, &data)};
        struct hb_tail tail = {region->at + offset, (size_t)part};
        hb_packet_send(HB_TYPE_READ_DATA, core.request.session, core.request.sequence, head, tail);
        offset += part;
        length -= part;
    } while (length > 0);
}

static void on_data(void) {
    struct hb_data data;
    struct region region;
    if (!hb_decode_data(&data, core.request.payload, core.request.length)) {
        refuse_malformed();
        return;
    }
    if (!find_region(data.region, &region)) {
        return;
    }
    if (!region.writable) {
        refuse(HB_ERROR_BAD_REGION, data.region, 0);
        return;
    }
    if (!in_range(&region, data.offset, (uint32_t)data.data.length)) {
        return;
    }
    uint8_t *at = region.at + data.offset;
    /* A late repetition of a packet that is in memory already must not unload the model. */
    if (data.data.length > 0 && memcmp(at, data.data.at, data.data.length) != 0) {
        if (data.region == HB_REGION_POOL) {
            core.model.loaded = false;
        }
        memcpy(at, data.data.at, data.data.length);
    }
    reply(HB_TYPE_DATA_ACK, NULL, 0);
}

static void on_read(void) {
    struct hb_read read;
    struct region region;
    if (!hb_decode_read(&read, core.request.payload, core.request.length)) {
        refuse_malformed();
        return;
    }
    if (find_region(read.region, &region) && in_range(&region, read.offset, read.length)) {
        send_region(read.region, &region, read.offset, read.length);
    }
}

/* ---- model and run ---- */

static void on_load(void) {
    struct hb_load load;
    struct hb_error error;
    if (!hb_decode_load(&load, core.request.payload, core.request.length)) {
        refuse_malformed();
        return;
    }
    if (!hb_model_load(&core.model, &load, &error)) {
        refuse_with(&error);
        return;
    }
    const struct hb_runtime_model *io = &core.model.io;
    struct hb_loaded loaded = {(uint32_t)io->input_bytes, (uint32_t)io->output_bytes,
                               (uint32_t)io->arena_bytes, io->operators, core.model.slots};
    uint8_t payload[HB_LOADED_BYTES];
    reply(HB_TYPE_LOADED, payload, hb_encode_loaded(payload, sizeof payload, &loaded));
}

/* True when the run may start; false after refusing. */
static bool check_run(const struct hb_run *run) {
    const struct hb_model *model = &core.model;
    const uint8_t markers = run->flags & ALL_MARKERS;
    uint64_t timed = (uint64_t)run->slots * run->iterations;
    if ((run->flags & (uint8_t)~ALL_RUN_FLAGS) != 0 ||
        (markers & (markers - 1)) != 0 /* more than one */ ||
        ((run->flags & HB_RUN_GUARD) && markers != HB_RUN_MARKER_WINDOW) ||
        (run->flags & (HB_RUN_PATTERN | HB_RUN_GUARD)) == HB_RUN_PATTERN || timed == 0 ||
        timed > UINT32_MAX) {
        refuse_malformed();
        return false;
    }
    if (!model->loaded) {
        refuse(HB_ERROR_NO_MODEL, 0, 0);
        return false;
    }
    uint32_t slots = hb_model_input_slots(model), input_bytes = (uint32_t)model->io.input_bytes;
    uint32_t last_slot = (uint32_t)run->first_slot + run->slots;
    if (last_slot > slots) {
        uint64_t end = (uint64_t)last_slot * input_bytes;
        refuse(HB_ERROR_OUT_OF_RANGE, end > UINT32_MAX ? UINT32_MAX : (uint32_t)end,
               slots * input_bytes);
        return false;
    }
    uint64_t asked = timed + run->warm_up;
    if (model->slots == 0 && asked != 1) {
        refuse(HB_ERROR_NO_RESTORE, asked > UINT32_MAX ? UINT32_MAX : (uint32_t)asked, 1);
        return false;
    }
    if ((run->flags & HB_RUN_PROFILE) && model->io.operators > HB_PROFILE_CAPACITY) {
        refuse(HB_ERROR_PROFILE_TOO_LONG, model->io.operators, HB_PROFILE_CAPACITY);
        return false;
    }
    uint32_t crc = hb_crc32(0, model->inputs + (size_t)run->first_slot * input_bytes,
                            (size_t)(run->slots * input_bytes));
    if (crc != run->input_crc32) {
        refuse(HB_ERROR_INPUT_MISMATCH, crc, run->input_crc32);
        return false;
    }
    return true;
}

/* Throws away what has arrived; whoever sent it hears nothing and repeats it. */
static uint32_t drain(void) {
    uint8_t chunk[RECEIVE_CHUNK_BYTES];
    uint32_t drained = 0;
    size_t got;
    while ((got = hb_port_uart_read(chunk, sizeof chunk)) > 0) {
        drained += (uint32_t)got;
    }
    return drained;
}

/* From RUN_STARTED to RUN_DONE nothing is sent, and what arrives is only counted. */
static bool run_in_silence(const struct hb_run *run, struct hb_run_done *done,
                           struct hb_error *error) {
    hb_port_uart_flush();
    core.silent = true;
    core.discard_input = true;
    hb_port_quiet(true);
    drain();
    uint32_t overruns = hb_port_uart_overruns();
    bool ok = hb_run_timed(&core.model, &core.clock, run, &core.measures, done, error);
    hb_port_quiet(false);
    done->rx_bytes_during = drain() + (hb_port_uart_overruns() - overruns);
    core.silent = false;
    return ok;
}

static void push(const struct hb_run *run) {
    struct region region;
    if ((run->flags & HB_RUN_PUSH_OUTPUTS) && find_region(HB_REGION_OUTPUT, &region)) {
        uint32_t output_bytes = (uint32_t)core.model.io.output_bytes;
        send_region(HB_REGION_OUTPUT, &region, run->first_slot * output_bytes,
                    run->slots * output_bytes);
    }
    if ((run->flags & HB_RUN_PUSH_TICKS) && find_region(HB_REGION_TICKS, &region) &&
        region.bytes > 0) {
        send_region(HB_REGION_TICKS, &region, 0, region.bytes);
    }
}

static void execute_run(const struct hb_run *run) {
    struct last_run *last = &core.last_run;
    struct hb_run_done done;
    struct hb_error error = {HB_TYPE_RUN, 0, 0, 0};
    reply(HB_TYPE_RUN_STARTED, NULL, 0);
    bool ok = run_in_silence(run, &done, &error);
    last->valid = true;
    last->sequence = core.request.sequence;
    last->type = ok ? HB_TYPE_RUN_DONE : HB_TYPE_ERROR;
    last->length = (uint8_t)(ok ? hb_encode_run_done(last->payload, sizeof last->payload, &done)
                                : encode_error(last->payload, &error));
    reply((enum hb_type)last->type, last->payload, last->length);
    if (ok) {
        push(run);
    }
    if (core.log_dropped) {
        core.log_dropped = false;
        hb_log(HB_LOG_WARNING, "log texts were dropped: the line is silent during a run");
    }
}

/* Exactly once: a RUN is executed only when its sequence number is newer (RFC 1982) than the last
 * executed one's; the same one again gets the stored answer. */
static void on_run(void) {
    const struct last_run *last = &core.last_run;
    struct hb_run run;
    if (!hb_decode_run(&run, core.request.payload, core.request.length)) {
        refuse_malformed();
        return;
    }
    uint16_t ahead = (uint16_t)(core.request.sequence - last->sequence);
    if (last->valid && ahead == 0) {
        reply(HB_TYPE_RUN_STARTED, NULL, 0);
        reply((enum hb_type)last->type, last->payload, last->length);
    } else if (last->valid && ahead >= 0x8000u) {
        refuse(HB_ERROR_STALE_RUN, core.request.sequence, last->sequence);
    } else if (check_run(&run)) {
        execute_run(&run);
    }
}

/* ---- the rest ---- */

static void on_hello(void) {
    if (!hb_decode_hello(core.request.length) || core.request.session == 0) {
        refuse_malformed();
        return;
    }
    /* A repetition of the HELLO that began this session must not make an old RUN new again. */
    if (core.request.session != core.session || core.request.sequence != core.hello_sequence) {
        core.session = core.request.session;
        core.hello_sequence = core.request.sequence;
        core.last_run.valid = false;
    }
    introduce(core.request.session, core.request.sequence);
}

static void on_memory(void) {
    const struct hb_model *model = &core.model;
    struct hb_memory_reply memory = {hb_stack_bytes(), hb_stack_used_bytes(), 0, 0, 0};
    if (model->loaded) {
        memory.model_bytes = (uint32_t)model->length;
        memory.arena_bytes = (uint32_t)model->io.arena_bytes;
        memory.vector_bytes =
            model->slots * (uint32_t)(model->io.input_bytes + model->io.output_bytes);
    }
    uint8_t payload[HB_MEMORY_REPLY_BYTES];
    reply(HB_TYPE_MEMORY_REPLY, payload, hb_encode_memory_reply(payload, sizeof payload, &memory));
}

static void on_idle(void) {
    struct hb_idle idle;
    if (!hb_decode_idle(&idle, core.request.payload, core.request.length)) {
        refuse_malformed();
        return;
    }
    hb_port_uart_flush();
    struct hb_idle_done done = {hb_clock_idle(&core.clock, idle.duration_us, idle.marker != 0)};
    uint8_t payload[HB_IDLE_DONE_BYTES];
    reply(HB_TYPE_IDLE_DONE, payload, hb_encode_idle_done(payload, sizeof payload, &done));
}

static void on_reset(void) {
    reply(HB_TYPE_RESET_ACK, NULL, 0);
    hb_port_uart_flush();
    hb_port_reset();
}

static void on_link_stats(void) {
    struct hb_link_stats_reply stats = {core.decoder.good_packets, core.decoder.bad_packets,
                                        hb_port_uart_overruns()};
    uint8_t payload[HB_LINK_STATS_REPLY_BYTES];
    reply(HB_TYPE_LINK_STATS_REPLY, payload,
          hb_encode_link_stats_reply(payload, sizeof payload, &stats));
}

/* Requests without a payload. */
static void when_empty(void (*handler)(void)) {
    if (core.request.length == 0) {
        handler();
    } else {
        refuse_malformed();
    }
}

static void answer(void) {
    const struct hb_packet *request = &core.request;
    /* An intact packet of another protocol version: the header of any answer says ours. */
    if (request->version != HB_PROTOCOL_VERSION) {
        refuse_malformed();
        return;
    }
    if (request->type == HB_TYPE_HELLO) {
        on_hello();
        return;
    }
    if (request->session == 0 || request->session != core.session) {
        refuse(HB_ERROR_WRONG_SESSION, request->session, core.session);
        return;
    }
    switch (request->type) {
    case HB_TYPE_LOAD:
        on_load();
        break;
    case HB_TYPE_DATA:
        on_data();
        break;
    case HB_TYPE_RUN:
        on_run();
        break;
    case HB_TYPE_READ:
        on_read();
        break;
    case HB_TYPE_MEMORY:
        when_empty(on_memory);
        break;
    case HB_TYPE_IDLE:
        on_idle();
        break;
    case HB_TYPE_ECHO:
        reply(HB_TYPE_ECHO_REPLY, request->payload, request->length);
        break;
    case HB_TYPE_RESET:
        when_empty(on_reset);
        break;
    case HB_TYPE_LINK_STATS:
        when_empty(on_link_stats);
        break;
    default:
        refuse_malformed();
        break;
    }
}

void hb_core_init(void) {
    hb_port_init();
    hb_stack_paint();
    memset(&core, 0, sizeof core);
    hb_clock_init(&core.clock);
    introduce(0, 0);
}

bool hb_core_poll(void) {
    uint8_t chunk[RECEIVE_CHUNK_BYTES];
    size_t got = hb_port_uart_read(chunk, sizeof chunk);
    const uint8_t *at = chunk;
    core.discard_input = false;
    while (!core.discard_input && hb_packet_feed(&core.decoder, &at, chunk + got, &core.request)) {
        answer();
    }
    return got > 0;
}

void hb_core_run(void) {
    hb_core_init();
    for (;;) {
        if (!hb_core_poll()) {
            hb_port_uart_wait();
        }
    }
}
