#include "hb_model.h"

#include "hb_port.h"
#include <string.h>

#define ALIGNMENT 16u
#define MAX_SLOTS 65535u

static size_t align_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static uint32_t first_word(const uint8_t *bytes) {
    struct hb_reader r = {bytes, 4, true};
    return hb_get_u32(&r);
}

static bool refuse(struct hb_error *error, enum hb_error_code code, uint32_t detail0,
                   uint32_t detail1) {
    error->code = (uint8_t)code;
    error->detail0 = detail0;
    error->detail1 = detail1;
    return false;
}

static uint32_t saturate(uint64_t value) {
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* Cuts what the arena left over into slots. */
static void place_vectors(struct hb_model *model, uint8_t *free_from, size_t free_bytes) {
    const struct hb_runtime_model *io = &model->io;
    size_t slot_bytes = align_up(io->input_bytes) + align_up(io->output_bytes);
    size_t slots = free_bytes / slot_bytes;
    model->slots = (uint16_t)(slots > MAX_SLOTS ? MAX_SLOTS : slots);
    if (model->slots == 0) {
        model->inputs = io->input;
        model->outputs = (uint8_t *)(uintptr_t)io->output; /* region OUTPUT is read only */
    } else {
        model->inputs = free_from;
        model->outputs = free_from + model->slots * align_up(io->input_bytes);
    }
}

/* Where a model may lie. */
struct site {
    const HB_CONST uint8_t *bytes;
    size_t length;
    bool in_image;
};

/* The resident plan, however long a model is asked for; else so much of the pool. */
static bool find_site(uint32_t length, struct site *out, struct hb_error *error) {
    size_t pool_bytes;
    const uint8_t *pool = hb_port_pool(&pool_bytes);
    struct hb_resident resident;
    if (hb_port_resident(&resident)) {
        *out = (struct site){resident.plan, (size_t)resident.length, true};
        return true;
    }
    *out = (struct site){(const HB_CONST uint8_t *)pool, (size_t)length, false};
    return length <= pool_bytes ||
           refuse(error, HB_ERROR_OUT_OF_RANGE, length, saturate(pool_bytes));
}

/* Lets the runtime load the model and cuts up what it leaves of the pool. */
static bool place(struct hb_model *model, const struct site *site, struct hb_error *error) {
    size_t pool_bytes;
    uint8_t *pool = hb_port_pool(&pool_bytes);
    size_t arena_at = site->in_image ? 0 : align_up(site->length);
    if (arena_at > pool_bytes) {
        return refuse(error, HB_ERROR_TOO_LARGE, saturate(arena_at), saturate(pool_bytes));
    }
    size_t arena_max = pool_bytes - arena_at;
    struct hb_runtime_fault fault = {0, 0};
    memset(&model->io, 0, sizeof model->io);
    enum hb_runtime_status status =
        hb_runtime_load(site->bytes, site->length, pool + arena_at, arena_max, &model->io, &fault);
    if (status == HB_RUNTIME_NO_MEMORY) {
        return refuse(error, HB_ERROR_TOO_LARGE, saturate((uint64_t)arena_at + fault.reason),
                      saturate(pool_bytes));
    }
    if (status != HB_RUNTIME_OK) {
        return refuse(error, HB_ERROR_BAD_MODEL, fault.reason, fault.position);
    }
    if (model->io.arena_bytes > arena_max) {
        return refuse(error, HB_ERROR_TOO_LARGE,
                      saturate((uint64_t)arena_at + model->io.arena_bytes), saturate(pool_bytes));
    }
    if (model->io.input_bytes == 0 || model->io.output_bytes == 0) {
        return refuse(error, HB_ERROR_BAD_MODEL, 0, 0);
    }
    size_t vectors_at = align_up(arena_at + model->io.arena_bytes);
    size_t left = vectors_at < pool_bytes ? pool_bytes - vectors_at : 0;
    place_vectors(model, pool + vectors_at, left);
    return true;
}

bool hb_model_load(struct hb_model *model, const struct hb_load *load, struct hb_error *error) {
    uint8_t digest[HB_SHA256_BYTES];
    struct site site;
    if (!find_site(load->length, &site, error)) {
        return false;
    }
    hb_sha256(site.bytes, site.length, digest);
    bool same = model->loaded && model->length == site.length &&
                memcmp(model->sha256, digest, sizeof digest) == 0;
    if (site.length != load->length || memcmp(load->sha256, digest, sizeof digest) != 0) {
        model->loaded = model->loaded && same;
        return refuse(error, HB_ERROR_HASH_MISMATCH, first_word(digest), first_word(load->sha256));
    }
    if (same) {
        return true;
    }
    model->loaded = false;
    if (!place(model, &site, error)) {
        return false;
    }
    model->bytes = site.bytes;
    model->length = site.length;
    memcpy(model->sha256, digest, sizeof digest);
    model->loaded = true;
    model->cold = true;
    return true;
}

static void load_resident(struct hb_model *model) {
    struct hb_resident resident;
    struct hb_load load;
    struct hb_error error;
    if (hb_port_resident(&resident) && resident.length > 0) {
        load.length = resident.length;
        hb_const_copy(load.sha256, resident.sha256, sizeof load.sha256);
        hb_model_load(model, &load, &error);
    }
}

void hb_model_verify(struct hb_model *model) {
    uint8_t digest[HB_SHA256_BYTES];
    if (!model->loaded) {
        load_resident(model);
        return;
    }
    hb_sha256(model->bytes, model->length, digest);
    model->loaded = memcmp(digest, model->sha256, sizeof digest) == 0;
}
