/* The command loop against a fake port and a fake runtime. */
#include "check.h"
#include "fake_port.h"
#include "fake_runtime.h"
#include "hb_core.h"
#include "hb_crc32.h"
#include "hb_packet.h"
#include "hb_sha256.h"

#include <string.h>

#define SESSION                     0x1234
#define INPUT_BYTES                 20
#define OUTPUT_BYTES                5
#define OPERATORS                   3
#define ARENA_BYTES                 100
#define MARKER_WINDOW_AND_OPERATORS (HB_RUN_MARKER_WINDOW | HB_RUN_MARKER_OPERATORS)

static struct hb_decoder decoder; /* the host's */
static struct hb_packet answer;
static size_t taken;

/* ---- the host's side ---- */

static void send_as(uint16_t session, uint8_t type, uint16_t sequence, const uint8_t *payload,
                    size_t length) {
    struct hb_tail head = {payload, length}, none = {NULL, 0};
    uint8_t wire[1024];
    size_t before = fake.tx_length;
    hb_packet_send(type, session, sequence, head, none); /* lands in fake.tx: take it from there */
    size_t made = fake.tx_length - before;
    memcpy(wire, fake.tx + before, made);
    fake.tx_length = before;
    fake_port_receive(wire, made);
}

static void serve(void) {
    while (hb_core_poll()) {
    }
}

static void ask(uint8_t type, uint16_t sequence, const uint8_t *payload, size_t length) {
    send_as(SESSION, type, sequence, payload, length);
    serve();
}

/* The next answer, which must be of this type. */
static const uint8_t *take(uint8_t type) {
    const uint8_t *at = fake.tx + taken;
    CHECK(hb_packet_feed(&decoder, &at, fake.tx + fake.tx_length, &answer));
    taken = (size_t)(at - fake.tx);
    CHECK_EQ(answer.type, type);
    return answer.payload;
}

static void no_more_answers(void) {
    const uint8_t *at = fake.tx + taken;
    CHECK(!hb_packet_feed(&decoder, &at, fake.tx + fake.tx_length, &answer));
}

static void refused(enum hb_error_code code, uint32_t detail0, uint32_t detail1) {
    struct hb_error error;
    take(HB_TYPE_ERROR);
    CHECK(hb_decode_error(&error, answer.payload, answer.length));
    CHECK_EQ(error.code, code);
    CHECK_EQ(error.detail0, detail0);
    CHECK_EQ(error.detail1, detail1);
    no_more_answers();
}

static struct hb_hello_reply take_hello(void) {
    struct hb_hello_reply hello;
    take(HB_TYPE_HELLO_REPLY);
    CHECK(hb_decode_hello_reply(&hello, answer.payload, answer.length));
    return hello;
}

static void boot_with(size_t pool_bytes) {
    fake_port_reset();
    fake.pool_bytes = pool_bytes;
    memset(&fake_runtime, 0, sizeof fake_runtime);
    fake_runtime.ticks_first = 500;
    fake_runtime.ticks = 100;
    memset(&decoder, 0, sizeof decoder);
    taken = 0;
    hb_core_init();
    take_hello();
    CHECK_EQ(answer.session, 0);
    CHECK_EQ(answer.sequence, 0);
    ask(HB_TYPE_HELLO, 1, NULL, 0);
    take_hello();
}

static void ask_data(uint16_t sequence, uint8_t region, uint32_t offset, const uint8_t *bytes,
                     size_t length) {
    uint8_t payload[HB_PACKET_BYTES];
    struct hb_data data = {region, offset, {bytes, length}};
    ask(HB_TYPE_DATA, sequence, payload, hb_encode_data(payload, sizeof payload, &data));
}

static void ask_read(uint16_t sequence, uint8_t region, uint32_t offset, uint32_t length) {
    uint8_t payload[HB_READ_BYTES];
    struct hb_read read = {region, offset, length};
    ask(HB_TYPE_READ, sequence, payload, hb_encode_read(payload, sizeof payload, &read));
}

static size_t take_read(uint8_t region, uint8_t *out, size_t cap) {
    size_t got = 0;
    for (;;) {
        const uint8_t *at = fake.tx + taken;
        if (!hb_packet_feed(&decoder, &at, fake.tx + fake.tx_length, &answer)) {
            return got;
        }
        taken = (size_t)(at - fake.tx);
        struct hb_read_data data;
        CHECK_EQ(answer.type, HB_TYPE_READ_DATA);
        CHECK(hb_decode_read_data(&data, answer.payload, answer.length));
        CHECK_EQ(data.region, region);
        CHECK(got + data.data.length <= cap);
        memcpy(out + got, data.data.at, data.data.length);
        got += data.data.length;
    }
}

static const uint8_t model_bytes[FAKE_MODEL_BYTES] = {'F',       INPUT_BYTES, OUTPUT_BYTES,
                                                      OPERATORS, ARENA_BYTES, 0};

static void ask_load(uint16_t sequence, const uint8_t *bytes, uint32_t length) {
    struct hb_load load = {length, {0}};
    uint8_t payload[HB_LOAD_BYTES];
    hb_sha256(bytes, length, load.sha256);
    ask(HB_TYPE_LOAD, sequence, payload, hb_encode_load(payload, sizeof payload, &load));
}

static struct hb_loaded load_model(const uint8_t *bytes, size_t length) {
    struct hb_loaded loaded;
    ask_data(2, HB_REGION_POOL, 0, bytes, length);
    take(HB_TYPE_DATA_ACK);
    ask_load(3, bytes, (uint32_t)length);
    take(HB_TYPE_LOADED);
    CHECK(hb_decode_loaded(&loaded, answer.payload, answer.length));
    return loaded;
}

/* Vector i is INPUT_BYTES times i + 1. */
static void make_inputs(uint8_t *out, size_t slots) {
    for (size_t i = 0; i < slots; ++i) {
        memset(out + i * INPUT_BYTES, (int)(i + 1), INPUT_BYTES);
    }
}

static uint8_t expected_output(size_t slot, size_t at) {
    return (uint8_t)(INPUT_BYTES * (slot + 1) + at);
}

static uint32_t write_inputs(size_t slots) {
    uint8_t inputs[10 * INPUT_BYTES];
    make_inputs(inputs, slots);
    ask_data(4, HB_REGION_INPUT, 0, inputs, slots * INPUT_BYTES);
    take(HB_TYPE_DATA_ACK);
    return hb_crc32(0, inputs, slots * INPUT_BYTES);
}

static void ask_run(uint16_t sequence, struct hb_run run) {
    uint8_t payload[HB_RUN_BYTES];
    ask(HB_TYPE_RUN, sequence, payload, hb_encode_run(payload, sizeof payload, &run));
}

static struct hb_run_done take_run(void) {
    struct hb_run_done done;
    take(HB_TYPE_RUN_STARTED);
    take(HB_TYPE_RUN_DONE);
    CHECK(hb_decode_run_done(&done, answer.payload, answer.length));
    CHECK_EQ(fake.writes_while_quiet, 0);
    CHECK_EQ(fake.quiet_unflushed, 0);
    CHECK(!fake.quiet && !fake.marker);
    return done;
}

static uint32_t boot_and_load(size_t slots) {
    boot_with(FAKE_POOL_BYTES);
    load_model(model_bytes, sizeof model_bytes);
    return write_inputs(slots);
}

/* ---- sessions ---- */

static void first_hello_says_who_the_board_is(void) {
    boot_with(FAKE_POOL_BYTES);
    ask(HB_TYPE_HELLO, 9, NULL, 0);
    struct hb_hello_reply hello = take_hello();
    CHECK_EQ(answer.session, SESSION);
    CHECK_EQ(answer.sequence, 9);
    CHECK_EQ(hello.protocol_version, HB_PROTOCOL_VERSION);
    CHECK_EQ(hello.counter_hz, 1000000);
    CHECK_EQ(hello.counter_overhead_ticks, 3);
    CHECK_EQ(hello.packet_bytes, HB_PACKET_BYTES);
    CHECK_EQ(hello.window_bytes, HB_WINDOW_BYTES);
    CHECK_EQ(hello.pool_bytes, FAKE_POOL_BYTES);
    CHECK_EQ(hello.pool_address, (uintptr_t)fake.pool);
    CHECK_EQ(hello.model_loaded, 0);
    CHECK(memcmp(hello.build_id, hb_port_build_id(), 20) == 0);
    CHECK(hello.unique_id.length == 4 && memcmp(hello.unique_id.at, "f00d", 4) == 0);
    CHECK(hello.port.length == 4 && memcmp(hello.port.at, "fake", 4) == 0);
}

static void other_sessions_are_refused(void) {
    boot_with(FAKE_POOL_BYTES);
    const uint16_t others[] = {0, SESSION + 1};
    for (size_t i = 0; i < 2; ++i) {
        send_as(others[i], HB_TYPE_MEMORY, 7, NULL, 0);
        serve();
        refused(HB_ERROR_WRONG_SESSION, others[i], SESSION);
        CHECK_EQ(answer.session, others[i]); /* so that its sender hears it */
    }
    send_as(0, HB_TYPE_HELLO, 8, NULL, 0); /* 0 is the board's own, after a reset */
    serve();
    refused(HB_ERROR_BAD_REQUEST, HB_TYPE_HELLO, 0);
}

static void unknown_and_malformed_requests_are_refused(void) {
    static const uint8_t junk[3] = {1, 2, 3};
    static const uint8_t types[] = {HB_TYPE_HELLO, HB_TYPE_LOAD,    HB_TYPE_DATA,
                                    HB_TYPE_RUN,   HB_TYPE_READ,    HB_TYPE_MEMORY,
                                    HB_TYPE_IDLE,  HB_TYPE_RESET,   HB_TYPE_LINK_STATS,
                                    0x7f,          HB_TYPE_RUN_DONE};
    boot_with(FAKE_POOL_BYTES);
    for (size_t i = 0; i < sizeof types; ++i) {
        ask(types[i], 5, junk, sizeof junk);
        refused(HB_ERROR_BAD_REQUEST, types[i], sizeof junk);
    }
    CHECK_EQ(fake.resets, 0);
}

static void another_protocol_version_hears_ours(void) {
    uint8_t body[HB_HEADER_BYTES + HB_CRC_BYTES] = {HB_PROTOCOL_VERSION + 1, HB_TYPE_HELLO, 5, 5,
                                                    1};
    struct hb_writer w = {body + HB_HEADER_BYTES, HB_CRC_BYTES, true};
    static const uint8_t zero = 0;
    boot_with(FAKE_POOL_BYTES);
    hb_put_u32(&w, hb_crc32(0, body, HB_HEADER_BYTES));
    /* COBS by hand: 2 1 5 5 1 | 0 0 0 ... */
    uint8_t wire[2 * sizeof body];
    size_t length = 0, code_at = length++;
    for (size_t i = 0; i < sizeof body; ++i) {
        if (body[i] != 0) {
            wire[length++] = body[i];
        } else {
            wire[code_at] = (uint8_t)(length - code_at);
            code_at = length++;
        }
    }
    wire[code_at] = (uint8_t)(length - code_at);
    fake_port_receive(&zero, 1);
    fake_port_receive(wire, length);
    fake_port_receive(&zero, 1);
    serve();
    refused(HB_ERROR_BAD_REQUEST, HB_TYPE_HELLO, 0);
    CHECK_EQ(answer.version, HB_PROTOCOL_VERSION);
}

static void echo_memory_idle_stats_reset(void) {
    boot_with(FAKE_POOL_BYTES);
    ask(HB_TYPE_ECHO, 5, (const uint8_t *)"a\0b", 3);
    CHECK(memcmp(take(HB_TYPE_ECHO_REPLY), "a\0b", 3) == 0 && answer.length == 3);

    struct hb_memory_reply memory;
    memset(fake.stack + FAKE_STACK_BYTES - 40, 1, 30); /* as a call 40 bytes deep */
    ask(HB_TYPE_MEMORY, 6, NULL, 0);
    take(HB_TYPE_MEMORY_REPLY);
    CHECK(hb_decode_memory_reply(&memory, answer.payload, answer.length));
    CHECK_EQ(memory.stack_bytes, FAKE_STACK_BYTES);
    CHECK_EQ(memory.stack_used_bytes, 40);
    CHECK_EQ(memory.model_bytes, 0);

    uint8_t payload[HB_IDLE_BYTES];
    struct hb_idle idle = {50000000, 1}; /* three wraps of a 24-bit counter at 1 MHz */
    struct hb_idle_done slept;
    fake.counter_bits = 24;
    fake.read_cost = 0;
    hb_core_init();
    take_hello();
    ask(HB_TYPE_HELLO, 1, NULL, 0);
    take_hello();
    ask(HB_TYPE_IDLE, 7, payload, hb_encode_idle(payload, sizeof payload, &idle));
    take(HB_TYPE_IDLE_DONE);
    CHECK(hb_decode_idle_done(&slept, answer.payload, answer.length));
    CHECK_EQ(slept.ticks, 50000000);
    CHECK_EQ(fake.idle_us, 50000000);
    CHECK_EQ(fake.marker_pulses, 1);
    CHECK_EQ(fake.marker_ticks, 50000000);
    CHECK(!fake.marker);

    struct hb_link_stats_reply stats;
    fake_port_receive((const uint8_t *)"boot chatter\0", 13);
    fake.overruns = 5;
    ask(HB_TYPE_LINK_STATS, 8, NULL, 0);
    take(HB_TYPE_LINK_STATS_REPLY);
    CHECK(hb_decode_link_stats_reply(&stats, answer.payload, answer.length));
    CHECK_EQ(stats.good_packets, 3);
    CHECK_EQ(stats.bad_packets, 1);
    CHECK_EQ(stats.overruns, 5);

    ask(HB_TYPE_RESET, 9, NULL, 0);
    take(HB_TYPE_RESET_ACK);
    CHECK_EQ(fake.resets, 1);
    CHECK_EQ(fake.tx_flushed, fake.tx_length);
}

/* ---- model memory ---- */

static void load_says_what_fits(void) {
    boot_with(FAKE_POOL_BYTES);
    struct hb_loaded loaded = load_model(model_bytes, sizeof model_bytes);
    CHECK_EQ(loaded.input_bytes, INPUT_BYTES);
    CHECK_EQ(loaded.output_bytes, OUTPUT_BYTES);
    CHECK_EQ(loaded.arena_bytes, ARENA_BYTES);
    CHECK_EQ(loaded.operators, OPERATORS);
    /* 16 bytes of model, 112 of arena, the rest in slots of 32 + 16. */
    CHECK_EQ(loaded.slots, (FAKE_POOL_BYTES - 16 - 112) / 48);

    struct hb_memory_reply memory;
    ask(HB_TYPE_MEMORY, 6, NULL, 0);
    take(HB_TYPE_MEMORY_REPLY);
    CHECK(hb_decode_memory_reply(&memory, answer.payload, answer.length));
    CHECK_EQ(memory.model_bytes, sizeof model_bytes);
    CHECK_EQ(memory.arena_bytes, ARENA_BYTES);
    CHECK_EQ(memory.vector_bytes, loaded.slots * (INPUT_BYTES + OUTPUT_BYTES));

    uint8_t digest[32];
    hb_sha256(model_bytes, sizeof model_bytes, digest);
    ask(HB_TYPE_HELLO, 9, NULL, 0);
    struct hb_hello_reply hello = take_hello();
    CHECK_EQ(hello.model_loaded, 1);
    CHECK(memcmp(hello.model_sha256, digest, 32) == 0);
    fake.pool[1] ^= 1; /* behind our back, as a probe or a stray pointer does */
    ask(HB_TYPE_HELLO, 10, NULL, 0);
    CHECK_EQ(take_hello().model_loaded, 0);
}

static void load_refusals(void) {
    uint8_t digest[32];
    boot_with(FAKE_POOL_BYTES);
    struct hb_load load = {FAKE_POOL_BYTES + 1, {1, 2, 3, 4}};
    uint8_t payload[HB_LOAD_BYTES];
    ask(HB_TYPE_LOAD, 2, payload, hb_encode_load(payload, sizeof payload, &load));
    refused(HB_ERROR_OUT_OF_RANGE, FAKE_POOL_BYTES + 1, FAKE_POOL_BYTES);
    load.length = 4;
    hb_sha256(fake.pool, 4, digest);
    ask(HB_TYPE_LOAD, 3, payload, hb_encode_load(payload, sizeof payload, &load));
    refused(HB_ERROR_HASH_MISMATCH,
            (uint32_t)digest[0] | (uint32_t)digest[1] << 8 | (uint32_t)digest[2] << 16 |
                (uint32_t)digest[3] << 24,
            0x04030201);
    ask_load(4, fake.pool, 8);
    refused(HB_ERROR_BAD_MODEL, 42, 1);
    memcpy(fake.pool, model_bytes, sizeof model_bytes);
    fake.pool[5] = 0x20; /* 0x2064 bytes of arena */
    ask_load(5, fake.pool, sizeof model_bytes);
    refused(HB_ERROR_TOO_LARGE, 16 + 0x2064, FAKE_POOL_BYTES);
    ask_run(6, (struct hb_run){0, 1, 0, 1, 0, 0});
    refused(HB_ERROR_NO_MODEL, 0, 0);
    ask_read(7, HB_REGION_OUTPUT, 0, 1);
    refused(HB_ERROR_NO_MODEL, 0, 0);
}

static void repeated_packets_do_not_unload(void) {
    uint32_t crc = boot_and_load(1);
    ask_data(2, HB_REGION_POOL, 0, model_bytes, sizeof model_bytes); /* late repetition */
    take(HB_TYPE_DATA_ACK);
    ask_load(3, model_bytes, sizeof model_bytes);
    take(HB_TYPE_LOADED);
    CHECK_EQ(fake_runtime.loads, 1);
    ask_run(5, (struct hb_run){0, 1, 0, 1, 0, crc});
    CHECK_EQ(take_run().inferences, 1);
    ask_data(6, HB_REGION_POOL, FAKE_POOL_BYTES - 1, (const uint8_t *)"x", 1);
    take(HB_TYPE_DATA_ACK);
    ask_run(7, (struct hb_run){0, 1, 0, 1, 0, crc});
    refused(HB_ERROR_NO_MODEL, 0, 0);
}

static void regions_have_bounds(void) {
    boot_and_load(1);
    const uint32_t input_bytes = (FAKE_POOL_BYTES - 128) / 48 * INPUT_BYTES;
    static const uint8_t two[2] = {1, 2};
    const struct {
        uint8_t region;
        uint32_t bytes;
    } readable[] = {{HB_REGION_POOL, FAKE_POOL_BYTES},
                    {HB_REGION_INPUT, input_bytes},
                    {HB_REGION_OUTPUT, input_bytes / INPUT_BYTES * OUTPUT_BYTES},
                    {HB_REGION_TICKS, 0},
                    {HB_REGION_PROFILE, 0},
                    {HB_REGION_HISTOGRAM, 256}};
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; ++i) {
        static uint8_t out[2 * FAKE_POOL_BYTES];
        uint8_t region = readable[i].region;
        uint32_t bytes = readable[i].bytes;
        ask_read(5, region, 0, bytes);
        CHECK_EQ(take_read(region, out, sizeof out), bytes);
        ask_read(5, region, bytes, 0);
        take(HB_TYPE_READ_DATA); /* an empty READ has an answer too */
        no_more_answers();
        ask_read(6, region, 0, bytes + 1);
        refused(HB_ERROR_OUT_OF_RANGE, bytes + 1, bytes);
        ask_read(7, region, UINT32_MAX, UINT32_MAX); /* the sum must not wrap */
        refused(HB_ERROR_OUT_OF_RANGE, UINT32_MAX, bytes);
        ask_read(8, region, bytes + 1, 0);
        refused(HB_ERROR_OUT_OF_RANGE, bytes + 1, bytes);
        if (region > HB_REGION_INPUT) {
            ask_data(9, region, 0, two, 2);
            refused(HB_ERROR_BAD_REGION, region, 0);
        } else {
            ask_data(9, region, bytes - 1, two, 2);
            refused(HB_ERROR_OUT_OF_RANGE, bytes + 1, bytes);
            ask_data(9, region, UINT32_MAX, two, 2);
            refused(HB_ERROR_OUT_OF_RANGE, UINT32_MAX, bytes);
        }
    }
    ask_read(10, 6, 0, 0);
    refused(HB_ERROR_BAD_REGION, 6, 0);
}

/* ---- runs ---- */

static void run_measures_and_keeps_outputs(void) {
    uint32_t crc = boot_and_load(3);
    ask_run(5, (struct hb_run){0, 3, 2, 2, 0, crc});
    struct hb_run_done done = take_run();
    no_more_answers();
    CHECK_EQ(done.inferences, 6);
    CHECK_EQ(done.ticks_stored, 6);
    CHECK_EQ(done.ticks_sum, 600); /* the cost of reading the counter is not in it */
    CHECK_EQ(done.ticks_min, 100);
    CHECK_EQ(done.ticks_max, 100);
    CHECK_EQ(done.cold_valid, 1);
    CHECK_EQ(done.cold_ticks, 500);
    CHECK_EQ(done.outputs_equal, 1); /* although every inference destroys its input */
    CHECK_EQ(done.rx_bytes_during, 0);
    CHECK_EQ(done.operators, OPERATORS);
    CHECK_EQ(fake_runtime.invokes, 1 + 2 + 6);
    CHECK_EQ(fake.marker_pulses, 0);
    uint8_t out[3 * OUTPUT_BYTES], in[3 * INPUT_BYTES], wanted[3 * INPUT_BYTES];
    ask_read(6, HB_REGION_OUTPUT, 0, sizeof out);
    CHECK_EQ(take_read(HB_REGION_OUTPUT, out, sizeof out), sizeof out);
    for (size_t i = 0; i < sizeof out; ++i) {
        CHECK_EQ(out[i], expected_output(i / OUTPUT_BYTES, i % OUTPUT_BYTES));
    }
    ask_read(7, HB_REGION_INPUT, 0, sizeof in);
    CHECK_EQ(take_read(HB_REGION_INPUT, in, sizeof in), sizeof in);
    make_inputs(wanted, 3);
    CHECK(memcmp(in, wanted, sizeof in) == 0);
    ask_run(8, (struct hb_run){0, 3, 0, 1, 0, crc});
    CHECK_EQ(take_run().cold_valid, 0);
}

static void outputs_that_drift_are_told(void) {
    uint32_t crc = boot_and_load(1);
    fake_runtime.drift = true;
    ask_run(5, (struct hb_run){0, 1, 0, 2, 0, crc});
    CHECK_EQ(take_run().outputs_equal, 0);
}

static void ticks_survive_a_wrap_of_the_counter(void) {
    boot_with(FAKE_POOL_BYTES);
    fake.counter_bits = 24;
    hb_core_init();
    take_hello();
    ask(HB_TYPE_HELLO, 1, NULL, 0);
    take_hello();
    load_model(model_bytes, sizeof model_bytes);
    uint32_t crc = write_inputs(1);
    fake_runtime.ticks = 0x900000; /* more than half a wrap: every second one crosses zero */
    ask_run(5, (struct hb_run){0, 1, 0, 4, 0, crc});
    struct hb_run_done done = take_run();
    CHECK_EQ(done.ticks_min, 0x900000);
    CHECK_EQ(done.ticks_max, 0x900000);
}

static void histogram_takes_over_when_ticks_are_full(void) {
    uint32_t crc = boot_and_load(1);
    ask_run(5, (struct hb_run){0, 1, 0, HB_TICKS_CAPACITY + 5, HB_RUN_PUSH_TICKS, crc});
    struct hb_run_done done = take_run();
    CHECK_EQ(done.inferences, HB_TICKS_CAPACITY + 5);
    CHECK_EQ(done.ticks_stored, HB_TICKS_CAPACITY);
    CHECK_EQ(done.ticks_sum, 100 * (HB_TICKS_CAPACITY + 5));
    uint8_t ticks[4 * HB_TICKS_CAPACITY];
    CHECK_EQ(take_read(HB_REGION_TICKS, ticks, sizeof ticks), sizeof ticks);
    CHECK_EQ(answer.sequence, 5); /* pushed under RUN's number */
    for (size_t i = 0; i < sizeof ticks; ++i) {
        CHECK_EQ(ticks[i], i % 4 == 0 ? 100 : 0);
    }
    uint8_t histogram[256];
    ask_read(6, HB_REGION_HISTOGRAM, 0, sizeof histogram);
    CHECK_EQ(take_read(HB_REGION_HISTOGRAM, histogram, sizeof histogram), sizeof histogram);
    for (size_t bin = 0; bin < 64; ++bin) { /* 96 <= 100 < 128: upper half of 2^6 */
        CHECK_EQ(histogram[4 * bin], bin == 13 ? HB_TICKS_CAPACITY + 5 : 0);
    }
}

static void outputs_are_pushed_from_their_slots(void) {
    boot_and_load(4);
    uint8_t inputs[4 * INPUT_BYTES], out[64];
    make_inputs(inputs, 4);
    ask_run(5, (struct hb_run){2, 2, 0, 1, HB_RUN_PUSH_OUTPUTS,
                               hb_crc32(0, inputs + 2 * INPUT_BYTES, 2 * INPUT_BYTES)});
    take_run();
    CHECK_EQ(take_read(HB_REGION_OUTPUT, out, sizeof out), 2 * OUTPUT_BYTES);
    CHECK_EQ(out[0], expected_output(2, 0));
    CHECK_EQ(out[OUTPUT_BYTES], expected_output(3, 0));
}

static void run_is_executed_exactly_once(void) {
    uint32_t crc = boot_and_load(1);
    struct hb_run run = {0, 1, 0, 1, HB_RUN_PUSH_TICKS, crc};
    uint8_t ticks[4];
    ask_run(0xFFFF, run); /* the first one of a session may have any number */
    struct hb_run_done first = take_run();
    take_read(HB_REGION_TICKS, ticks, sizeof ticks);
    uint32_t invokes = fake_runtime.invokes;
    fake_runtime.ticks = 999;
    ask_run(0xFFFF, run);
    struct hb_run_done again = take_run();
    CHECK(again.cold_valid == 1 && again.ticks_sum == first.ticks_sum);
    no_more_answers(); /* pushed once; READ brings it again */
    CHECK_EQ(fake_runtime.invokes, invokes);
    ask_run(0xFFFE, run);
    refused(HB_ERROR_STALE_RUN, 0xFFFE, 0xFFFF);
    ask_run(0x8000, run); /* 0x8001 ahead is behind */
    CHECK_EQ(fake_runtime.invokes, invokes);
    refused(HB_ERROR_STALE_RUN, 0x8000, 0xFFFF);
    ask_run(0, run); /* newer, over the wrap */
    CHECK_EQ(take_run().ticks_sum, 999);
    take_read(HB_REGION_TICKS, ticks, sizeof ticks);
    CHECK_EQ(fake_runtime.invokes, invokes + 1);
    ask(HB_TYPE_HELLO, 1, NULL, 0); /* a late repetition of this session's HELLO */
    take_hello();
    ask_run(0xFFFF, run);
    refused(HB_ERROR_STALE_RUN, 0xFFFF, 0);
    ask(HB_TYPE_HELLO, 2, NULL, 0); /* a new one */
    take_hello();
    ask_run(0xFFFF, run);
    CHECK_EQ(take_run().inferences, 1);
}

static void refused_runs_may_be_asked_again(void) {
    uint32_t crc = boot_and_load(1);
    ask_run(5, (struct hb_run){0, 1, 0, 1, 0, crc + 1});
    refused(HB_ERROR_INPUT_MISMATCH, crc, crc + 1);
    ask_run(5, (struct hb_run){0, 1, 0, 1, 0, crc}); /* after the lost DATA came */
    CHECK_EQ(take_run().inferences, 1);
}

static void run_requests_are_checked(void) {
    uint32_t crc = boot_and_load(1);
    const uint32_t slots = (FAKE_POOL_BYTES - 128) / 48;
    const struct hb_run malformed[] = {
        {0, 0, 0, 1, 0, crc},
        {0, 1, 0, 0, 0, crc},
        {0, 1, 0, 1, HB_RUN_GUARD, crc},
        {0, 1, 0, 1, HB_RUN_GUARD | HB_RUN_MARKER_EACH, crc},
        {0, 1, 0, 1, HB_RUN_PATTERN | HB_RUN_MARKER_WINDOW, crc},
        {0, 1, 0, 1, HB_RUN_MARKER_WINDOW | HB_RUN_MARKER_EACH, crc},
        {0, 1, 0, 1, MARKER_WINDOW_AND_OPERATORS, crc},
        {0, 1, 0, 1, HB_RUN_MARKER_EACH | HB_RUN_MARKER_OPERATORS, crc},
        {0, 2, 0, UINT32_MAX, 0, crc}};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; ++i) {
        ask_run(5, malformed[i]);
        refused(HB_ERROR_BAD_REQUEST, HB_TYPE_RUN, HB_RUN_BYTES);
    }
    ask_run(6, (struct hb_run){65535, 65535, 0, 1, 0, crc});
    refused(HB_ERROR_OUT_OF_RANGE, 131070 * INPUT_BYTES, slots * INPUT_BYTES);
    CHECK_EQ(fake_runtime.invokes, 0);
}

static void failed_inference_is_told_and_repeated(void) {
    uint32_t crc = boot_and_load(1);
    struct hb_run run = {0, 1, 1, 5, HB_RUN_MARKER_WINDOW, crc};
    fake_runtime.fail_at = 4; /* cold, warm-up, first timed one, this one */
    for (int i = 0; i < 2; ++i) {
        ask_run(5, run);
        take(HB_TYPE_RUN_STARTED);
        refused(HB_ERROR_INVOKE_FAILED, 77, 3);
        CHECK_EQ(fake_runtime.invokes, 4);
        CHECK(!fake.marker && !fake.quiet);
    }
    run.flags = HB_RUN_MARKER_OPERATORS;
    fake_runtime.fail_at = 7;
    ask_run(6, run);
    take(HB_TYPE_RUN_STARTED);
    refused(HB_ERROR_INVOKE_FAILED, 77, 2);
    CHECK(!fake.marker);
}

static void marker_frames_window_or_inference(void) {
    uint32_t crc = boot_and_load(1);
    ask_run(4, (struct hb_run){0, 1, 2, 4, 0, crc});
    CHECK_EQ(take_run().window_ticks, 0);
    ask_run(5, (struct hb_run){0, 1, 2, 4, HB_RUN_MARKER_WINDOW, crc});
    CHECK_EQ(take_run().window_ticks, fake.marker_ticks);
    CHECK_EQ(fake.marker_pulses, 1);
    CHECK(fake.marker_ticks > 4 * 100);
    fake.marker_ticks = 0;
    ask_run(6, (struct hb_run){0, 1, 2, 4, HB_RUN_MARKER_EACH, crc});
    CHECK_EQ(take_run().window_ticks, fake.marker_ticks);
    CHECK_EQ(fake.marker_pulses, 1 + 4);
    CHECK_EQ(fake.marker_ticks, 4 * (100 + 2 * 3)); /* read_cost 3: of the ticks, and of the pin */
}

static void a_window_is_longer_than_a_wrap_of_the_counter(void) {
    boot_with(FAKE_POOL_BYTES);
    fake.counter_bits = 16;
    hb_core_init();
    take_hello();
    ask(HB_TYPE_HELLO, 1, NULL, 0);
    take_hello();
    load_model(model_bytes, sizeof model_bytes);
    uint32_t crc = write_inputs(3);
    fake_runtime.ticks = 50000;
    ask_run(5, (struct hb_run){0, 3, 1, 7, HB_RUN_MARKER_WINDOW, crc});
    struct hb_run_done done = take_run();
    CHECK_EQ(done.window_ticks, fake.marker_ticks);
    CHECK(done.window_ticks >= done.ticks_sum + done.restore_ticks_sum);
    CHECK(done.window_ticks > 3 * 7 * 50000);
}

static void guards_are_around_the_window(void) {
    uint32_t crc = boot_and_load(1);
    ask_run(4, (struct hb_run){0, 1, 2, 4, HB_RUN_MARKER_WINDOW, crc});
    const uint64_t told = take_run().window_ticks;
    fake.marker_pulses = 0;
    ask_run(5, (struct hb_run){0, 1, 2, 4, HB_RUN_MARKER_WINDOW | HB_RUN_GUARD, crc});
    CHECK_EQ(take_run().window_ticks, told);
    CHECK_EQ(fake.marker_pulses, 3);
    const uint64_t asleep_us[] = {HB_GUARD_US, 0, HB_GUARD_US};
    for (size_t i = 0; i < 3; ++i) {
        CHECK_EQ(fake.pulses[i].idle_us, asleep_us[i]);
    }
    CHECK_EQ(fake.pulses[1].ticks, told);
    CHECK_EQ(fake.idle_us_low, 0);
    /* A window that failed is guarded as well, and leaves the pin down. */
    fake_runtime.fail_at = fake_runtime.invokes + 2;
    ask_run(6, (struct hb_run){0, 1, 0, 4, HB_RUN_MARKER_WINDOW | HB_RUN_GUARD, crc});
    take(HB_TYPE_RUN_STARTED);
    refused(HB_ERROR_INVOKE_FAILED, 77, 1);
    CHECK(!fake.marker);
}

static void the_pattern_is_before_the_first_guard(void) {
    const uint8_t flags = HB_RUN_MARKER_WINDOW | HB_RUN_GUARD | HB_RUN_PATTERN;
    const bool busy[] = {1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0};
    const size_t chips = sizeof busy;
    uint32_t crc = boot_and_load(1);
    ask_run(5, (struct hb_run){0, 1, 2, 4, flags, crc});
    const uint64_t told = take_run().window_ticks;
    CHECK_EQ(fake.marker_pulses, chips + 3); /* guard, window, guard */
    for (size_t i = 0; i < chips; ++i) {
        CHECK_EQ(fake.pulses[i].idle_us, busy[i] ? 0 : HB_GUARD_US);
        CHECK(fake.pulses[i].ticks >= HB_GUARD_US && fake.pulses[i].ticks < HB_GUARD_US + 10);
    }
    CHECK_EQ(fake.pulses[chips].idle_us, HB_GUARD_US);
    CHECK_EQ(fake.pulses[chips + 1].ticks, told);
    CHECK_EQ(fake.pulses[chips + 2].idle_us, HB_GUARD_US);
    fake.read_cost = 0; /* a counter that stands still hangs no board */
    ask_run(6, (struct hb_run){0, 1, 0, 1, flags, crc});
    take_run();
}

static void marker_frames_operators(void) {
    uint32_t crc = boot_and_load(1);
    fake_runtime.operator_ticks = 20;
    const uint8_t flags = HB_RUN_MARKER_OPERATORS | HB_RUN_PROFILE;
    ask_run(5, (struct hb_run){0, 1, 1, 4, HB_RUN_MARKER_OPERATORS, crc});
    struct hb_run_done done = take_run();
    CHECK_EQ(fake.marker_pulses, 4 * OPERATORS);
    CHECK_EQ(done.window_ticks, fake.marker_ticks);
    CHECK_EQ(done.window_ticks, 4 * (20 + 21 + 22 + OPERATORS * 2 * 3));
    CHECK(fake.marker_shortest_low >= 61); /* us: the counter's rate is 1 MHz */
    ask_run(6, (struct hb_run){0, 1, 0, 4, flags, crc});
    CHECK_EQ(take_run().window_ticks, done.window_ticks);
    uint8_t profile[8 * OPERATORS];
    ask_read(7, HB_REGION_PROFILE, 0, sizeof profile);
    CHECK_EQ(take_read(HB_REGION_PROFILE, profile, sizeof profile), sizeof profile);
    for (size_t i = 0; i < OPERATORS; ++i) { /* without the waits between them */
        CHECK_EQ(profile[8 * i], 4 * (20 + i));
    }
    fake.read_cost = 0; /* a counter that stands still ends no wait, and hangs no board */
    ask_run(8, (struct hb_run){0, 1, 0, 1, HB_RUN_MARKER_OPERATORS, crc});
    take_run();

    uint8_t empty[FAKE_MODEL_BYTES];
    memcpy(empty, model_bytes, sizeof empty);
    empty[3] = 0;
    load_model(empty, sizeof empty);
    crc = write_inputs(1);
    ask_run(9, (struct hb_run){0, 1, 0, 1, HB_RUN_MARKER_OPERATORS, crc});
    CHECK_EQ(take_run().window_ticks, 0); /* no operator, and the pin is down */
}

static void bytes_during_a_run_are_counted_and_dropped(void) {
    uint32_t crc = boot_and_load(1);
    fake_runtime.receive = 10;
    ask_run(5, (struct hb_run){0, 1, 1, 3, 0, crc});
    CHECK_EQ(take_run().rx_bytes_during, 50);
    fake_runtime.receive = 0;
    /* What is waiting behind RUN when it begins is not "during". */
    uint8_t payload[HB_RUN_BYTES];
    struct hb_run run = {0, 1, 0, 1, 0, crc};
    hb_encode_run(payload, sizeof payload, &run);
    for (int i = 0; i < 10; ++i) { /* more than the core reads at once */
        send_as(SESSION, HB_TYPE_RUN, 6, payload, sizeof payload);
    }
    serve();
    CHECK_EQ(take_run().rx_bytes_during, 0);
    no_more_answers();
    ask(HB_TYPE_ECHO, 7, NULL, 0); /* and the line is in step again */
    take(HB_TYPE_ECHO_REPLY);
}

static void log_is_sent_but_never_during_a_run(void) {
    uint32_t crc = boot_and_load(1);
    hb_log(HB_LOG_WARNING, "hot");
    CHECK(memcmp(take(HB_TYPE_LOG), "\2hot", 4) == 0 && answer.length == 4);
    fake_runtime.log = true;
    ask_run(5, (struct hb_run){0, 1, 0, 2, 0, crc});
    take_run();
    CHECK_EQ(take(HB_TYPE_LOG)[0], HB_LOG_WARNING);
    no_more_answers();
}

static void profile_sums_operators(void) {
    uint32_t crc = boot_and_load(1);
    fake_runtime.operator_ticks = 20;
    ask_run(5, (struct hb_run){0, 1, 1, 4, HB_RUN_PROFILE, crc});
    struct hb_run_done done = take_run();
    CHECK(done.ticks_min >= 20 + 21 + 22);
    uint8_t profile[8 * OPERATORS];
    ask_read(6, HB_REGION_PROFILE, 0, sizeof profile);
    CHECK_EQ(take_read(HB_REGION_PROFILE, profile, sizeof profile), sizeof profile);
    for (size_t i = 0; i < OPERATORS; ++i) { /* timed inferences only, reading cost taken off */
        CHECK_EQ(profile[8 * i], 4 * (20 + i));
    }
    fake_runtime.operator_ticks = 0x60000000; /* three of them: more than the counter holds */
    ask_run(7, (struct hb_run){0, 1, 0, 2, HB_RUN_PROFILE, crc});
    take(HB_TYPE_RUN_STARTED);
    refused(HB_ERROR_TICKS_OVERFLOW, 0, 32);

    uint8_t longer[FAKE_MODEL_BYTES];
    memcpy(longer, model_bytes, sizeof longer);
    longer[3] = HB_PROFILE_CAPACITY + 1;
    load_model(longer, sizeof longer);
    crc = write_inputs(1);
    ask_run(8, (struct hb_run){0, 1, 0, 1, HB_RUN_PROFILE, crc});
    refused(HB_ERROR_PROFILE_TOO_LONG, HB_PROFILE_CAPACITY + 1, HB_PROFILE_CAPACITY);
}

static void direct_mode_has_no_restore(void) {
    boot_with(128 + 47); /* one byte short of a slot */
    CHECK_EQ(load_model(model_bytes, sizeof model_bytes).slots, 0);
    uint32_t crc = write_inputs(1);
    ask_run(5, (struct hb_run){0, 1, 1, 1, 0, crc});
    refused(HB_ERROR_NO_RESTORE, 2, 1);
    ask_run(5, (struct hb_run){0, 1, 0, 7, 0, crc});
    refused(HB_ERROR_NO_RESTORE, 7, 1);
    ask_run(5, (struct hb_run){0, 1, 0, 1, 0, crc});
    struct hb_run_done done = take_run(); /* the cold inference is all that the input is good for */
    CHECK_EQ(done.inferences, 0);
    CHECK_EQ(done.cold_valid, 1);
    CHECK_EQ(done.cold_ticks, 500);
    ask_run(6, (struct hb_run){0, 1, 0, 1, 0, crc});
    take(HB_TYPE_ERROR); /* the input is destroyed and the board knows */
    CHECK_EQ(answer.payload[1], HB_ERROR_INPUT_MISMATCH);
    CHECK_EQ(write_inputs(1), crc);
    ask_run(6, (struct hb_run){0, 1, 0, 1, HB_RUN_PUSH_OUTPUTS, crc});
    done = take_run();
    CHECK_EQ(done.inferences, 1);
    CHECK_EQ(done.ticks_sum, 100);
    uint8_t out[OUTPUT_BYTES];
    CHECK_EQ(take_read(HB_REGION_OUTPUT, out, sizeof out), OUTPUT_BYTES);
    CHECK_EQ(out[0], expected_output(0, 0));
}

int main(void) {
    first_hello_says_who_the_board_is();
    other_sessions_are_refused();
    unknown_and_malformed_requests_are_refused();
    another_protocol_version_hears_ours();
    echo_memory_idle_stats_reset();
    load_says_what_fits();
    load_refusals();
    repeated_packets_do_not_unload();
    regions_have_bounds();
    run_measures_and_keeps_outputs();
    outputs_that_drift_are_told();
    ticks_survive_a_wrap_of_the_counter();
    histogram_takes_over_when_ticks_are_full();
    outputs_are_pushed_from_their_slots();
    run_is_executed_exactly_once();
    refused_runs_may_be_asked_again();
    run_requests_are_checked();
    failed_inference_is_told_and_repeated();
    marker_frames_window_or_inference();
    a_window_is_longer_than_a_wrap_of_the_counter();
    guards_are_around_the_window();
    the_pattern_is_before_the_first_guard();
    marker_frames_operators();
    bytes_during_a_run_are_counted_and_dropped();
    log_is_sent_but_never_during_a_run();
    profile_sums_operators();
    direct_mode_has_no_restore();
    free(fake.pool);
    puts("core: ok");
}
