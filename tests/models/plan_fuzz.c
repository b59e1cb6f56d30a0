/* Loads and runs mutated plans under the sanitizers: fuzz SEED ROUNDS PLAN...
 * Plan and arena are heap blocks of their exact sizes, so that a byte too far is caught.
 * Prints how often each status and fault came back, one "status reason count" a line. */
#define _POSIX_C_SOURCE 200112L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hb_plan.h"
#include "hb_runtime.h"

#define MAX_REASONS 16u

static uint64_t state;

static uint32_t random_below(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16) % limit;
}

static uint8_t *block(size_t bytes) {
    void *result = NULL;
    if (posix_memalign(&result, 16, bytes) != 0) {
        abort();
    }
    return result;
}

static uint8_t *read_plan(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        abort();
    }
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = block(*bytes);
    if (fread(data, 1, *bytes, file) != *bytes) {
        abort();
    }
    fclose(file);
    return data;
}

/* A 32-bit field becomes an edge case, or another field: offsets that overlap, sizes that are not
 * its own. */
static void mutate_word(uint8_t *plan, uint32_t interesting, uint32_t arena_bytes) {
    const uint32_t edges[] = {
        0,           1,           16,          arena_bytes, 0x7ffffff0u,       0x7fffffffu,
        0x80000000u, 0xfffffff0u, 0xffffffffu, 0x10000u,    arena_bytes & ~15u};
    const uint32_t fields = interesting / 4u;
    uint32_t value;
    memcpy(&value, plan + random_below(fields) * 4u, sizeof value);
    if (random_below(2) == 0u) {
        value = edges[random_below(sizeof edges / sizeof edges[0])];
    }
    memcpy(plan + random_below(fields) * 4u, &value, sizeof value);
}

/* A 16-bit field becomes an edge case, a neighbour, or noise. */
static void mutate(uint8_t *plan, uint32_t interesting) {
    static const uint16_t edges[] = {0, 1, 2, 16, 0x7fff, 0x8000, 0xfff0, 0xffff};
    const uint32_t at = random_below(interesting / 2u) * 2u;
    uint16_t value;
    memcpy(&value, plan + at, sizeof value);
    switch (random_below(4)) {
    case 0:
        value = edges[random_below(8)];
        break;
    case 1:
        value = (uint16_t)(value + random_below(5) - 2u);
        break;
    case 2:
        value = (uint16_t)(value ^ (1u << random_below(16)));
        break;
    default:
        value = (uint16_t)(random_below(64) * 16u);
        break;
    }
    memcpy(plan + at, &value, sizeof value);
}

int main(int argc, char **argv) {
    static uint32_t counts[3][MAX_REASONS];
    if (argc < 4) {
        return 2;
    }
    state = strtoull(argv[1], NULL, 10) * 2654435761u + 88172645463325252u;
    for (long round = strtol(argv[2], NULL, 10); round > 0; round--) {
        size_t bytes;
        uint8_t *original = read_plan(argv[3 + random_below((uint32_t)argc - 3u)], &bytes);
        struct hb_plan_header header;
        memcpy(&header, original, sizeof header);
        /* now and then the constants too: shifts and multipliers are there */
        const uint32_t interesting =
            random_below(4) == 0u ? (uint32_t)bytes : header.constants_offset;
        for (uint32_t i = random_below(4); i > 0u; i--) {
            if (random_below(3) == 0u) {
                mutate_word(original, interesting, header.arena_bytes);
            } else {
                mutate(original, interesting);
            }
        }
        const size_t length = random_below(20) == 0u ? random_below((uint32_t)bytes + 1u) : bytes;
        uint8_t *plan = block(length == 0u ? 1u : length);
        memcpy(plan, original, length);
        uint8_t *arena = block(header.arena_bytes);
        memset(arena, 0x5a, header.arena_bytes);
        struct hb_runtime_model model = {0};
        struct hb_runtime_fault fault = {0};
        enum hb_runtime_status status =
            hb_runtime_load(plan, length, arena, header.arena_bytes, &model, &fault);
        if (status == HB_RUNTIME_OK) {
            memset(model.input, 0x77, model.input_bytes);
            status = hb_runtime_invoke(&fault);
        }
        const uint32_t reason = status == HB_RUNTIME_BAD_MODEL ? fault.reason : 0u;
        if ((uint32_t)status > 2u || reason >= MAX_REASONS) {
            abort();
        }
        counts[status][reason]++;
        free(arena);
        free(plan);
        free(original);
    }
    for (uint32_t status = 0; status < 3u; status++) {
        for (uint32_t reason = 0; reason < MAX_REASONS; reason++) {
            if (counts[status][reason] > 0u) {
                printf("%u %u %u\n", status, reason, counts[status][reason]);
            }
        }
    }
    return 0;
}
