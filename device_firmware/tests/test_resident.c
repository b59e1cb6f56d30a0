/* A plan that is part of the image: found, hashed, loaded; and damaged in every part. */
#include "check.h"
#include "fake_port.h"
#include "fake_runtime.h"
#include "hb_core.h"
#include "hb_model.h"
#include "hb_packet.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_BYTES  20
#define OUTPUT_BYTES 5
#define ARENA_BYTES  100
#define SLOT_BYTES   (32 + 16)
#define CAPACITY     300
#define POOL_BYTES   (112 + 3 * SLOT_BYTES) /* the arena and three slots, no byte for a model */

static const uint8_t plan[] = {'F', INPUT_BYTES, OUTPUT_BYTES, 3, ARENA_BYTES, 0, 7, 8};
static const uint32_t plan_bytes = sizeof plan;
static struct hb_model model;
static struct hb_error error;

static uint8_t *plan_in_image(void) {
    return (uint8_t *)(fake.resident + 1);
}

/* What the host writes: exactly as long as it says, so that a sanitizer sees every byte beyond. */
static void patch(const uint8_t *bytes, uint32_t length) {
    fake.resident = malloc(sizeof *fake.resident + length);
    *fake.resident = (struct hb_resident_header){HB_RESIDENT_MAGIC, CAPACITY, length, 0, {0}};
    if (length > 0) {
        memcpy(plan_in_image(), bytes, length);
    }
    hb_sha256(bytes, length, fake.resident->sha256);
}

static void boot_without_plan(void) {
    fake_port_reset();
    fake.pool_bytes = POOL_BYTES;
    memset(&fake_runtime, 0, sizeof fake_runtime);
    memset(&model, 0, sizeof model);
}

static void boot(void) {
    boot_without_plan();
    patch(plan, plan_bytes);
}

static struct hb_load load_of(const uint8_t *bytes, uint32_t length) {
    struct hb_load load = {length, {0}};
    hb_sha256(bytes, length, load.sha256);
    return load;
}

static uint32_t word(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void refused(const struct hb_load *load, enum hb_error_code code, uint32_t detail0,
                    uint32_t detail1) {
    CHECK(!hb_model_load(&model, load, &error));
    CHECK(!model.loaded);
    CHECK_EQ(error.code, code);
    CHECK_EQ(error.detail0, detail0);
    CHECK_EQ(error.detail1, detail1);
}

static void hello_loads_it(void) {
    boot();
    hb_model_verify(&model);
    CHECK(model.loaded && model.cold);
    CHECK(model.bytes == plan_in_image());
    CHECK_EQ(model.length, plan_bytes);
    CHECK(memcmp(model.sha256, fake.resident->sha256, sizeof model.sha256) == 0);
    CHECK(model.io.input == fake.pool); /* the whole pool is for arena and vectors */
    CHECK_EQ(model.slots, 3);
    hb_model_verify(&model);
    CHECK(model.loaded);
    CHECK_EQ(fake_runtime.loads, 1);
}

static void load_needs_no_data(void) {
    boot();
    struct hb_load load = load_of(plan, plan_bytes);
    CHECK(hb_model_load(&model, &load, &error));
    CHECK(hb_model_load(&model, &load, &error)); /* of what is loaded changes nothing */
    CHECK_EQ(fake_runtime.loads, 1);
    model.loaded = false; /* DATA to POOL */
    hb_model_verify(&model);
    CHECK(model.loaded);
}

static void nothing_else_can_be_loaded(void) {
    static const uint8_t other[sizeof plan] = {'F', 1, 1, 1};
    boot();
    memcpy(fake.pool, other, sizeof other); /* the pool holds no models */
    struct hb_load load = load_of(other, sizeof other);
    hb_model_verify(&model);
    CHECK(!hb_model_load(&model, &load, &error));
    CHECK_EQ(error.code, HB_ERROR_HASH_MISMATCH);
    CHECK_EQ(error.detail0, word(fake.resident->sha256));
    CHECK_EQ(error.detail1, word(load.sha256));
    CHECK(model.loaded); /* what was there still is */
    load = load_of(plan, plan_bytes);
    load.length = 100000; /* longer than the pool, the plan and this machine's memory need be */
    CHECK(!hb_model_load(&model, &load, &error));
    CHECK_EQ(error.code, HB_ERROR_HASH_MISMATCH);
}

static void an_image_without_a_plan_says_so(void) {
    boot_without_plan();
    patch(plan, 0);
    hb_model_verify(&model);
    CHECK(!model.loaded);
    CHECK_EQ(fake_runtime.loads, 0);
    struct hb_load load = load_of(plan, plan_bytes);
    refused(&load, HB_ERROR_HASH_MISMATCH, 0x42c4b0e3u, word(load.sha256)); /* of no bytes */
}

static void a_damaged_section_holds_no_plan(void) {
    struct hb_load load = load_of(plan, plan_bytes);
    for (int fault = 0; fault < 2; ++fault) {
        boot();
        if (fault == 0) {
            fake.resident->magic ^= 1;
        } else {
            fake.resident->length = CAPACITY + 1;
        }
        hb_model_verify(&model);
        CHECK(!model.loaded);
        refused(&load, HB_ERROR_HASH_MISMATCH, 0x42c4b0e3u, word(load.sha256));
    }
    boot();
    plan_in_image()[6] ^= 1;
    hb_model_verify(&model);
    CHECK(!model.loaded);
    boot();
    fake.resident->sha256[0] ^= 1;
    hb_model_verify(&model);
    CHECK(!model.loaded);
    CHECK(hb_model_load(&model, &load, &error)); /* the host's own hash is what counts */
    boot();
    hb_model_verify(&model);
    plan_in_image()[6] ^= 1; /* flash that loses a bit later */
    hb_model_verify(&model);
    CHECK(!model.loaded);
}

static void what_the_runtime_refuses_load_tells(void) {
    uint8_t bytes[sizeof plan];
    memcpy(bytes, plan, sizeof bytes);
    bytes[0] = 'X';
    boot_without_plan();
    patch(bytes, sizeof bytes);
    hb_model_verify(&model);
    CHECK(!model.loaded);
    struct hb_load load = load_of(bytes, sizeof bytes);
    refused(&load, HB_ERROR_BAD_MODEL, 42, 1);
    boot();
    fake.pool_bytes = ARENA_BYTES - 1;
    load = load_of(plan, plan_bytes);
    refused(&load, HB_ERROR_TOO_LARGE, ARENA_BYTES, ARENA_BYTES - 1);
    fake.pool_bytes = ARENA_BYTES;
    CHECK(hb_model_load(&model, &load, &error));
    CHECK_EQ(model.slots, 0);
}

static void first_hello_reports_it(void) {
    struct hb_decoder decoder;
    struct hb_packet packet;
    struct hb_hello_reply hello;
    memset(&decoder, 0, sizeof decoder);
    boot();
    hb_core_init();
    const uint8_t *at = fake.tx;
    CHECK(hb_packet_feed(&decoder, &at, fake.tx + fake.tx_length, &packet));
    CHECK(hb_decode_hello_reply(&hello, packet.payload, packet.length));
    CHECK_EQ(hello.model_loaded, 1);
    CHECK(memcmp(hello.model_sha256, fake.resident->sha256, sizeof hello.model_sha256) == 0);
    CHECK(memcmp(hello.build_id, hb_port_build_id(), sizeof hello.build_id) == 0);
    CHECK_EQ(hello.pool_bytes, POOL_BYTES);
}

int main(void) {
    hello_loads_it();
    load_needs_no_data();
    nothing_else_can_be_loaded();
    an_image_without_a_plan_says_so();
    a_damaged_section_holds_no_plan();
    what_the_runtime_refuses_load_tells();
    first_hello_reports_it();
    free(fake.pool);
    free(fake.resident);
    puts("resident: ok");
}
