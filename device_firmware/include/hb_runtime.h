/* What a runtime (the on-device executor) supplies. Implement these five functions around any
 * engine and the whole harness works with it. One model at a time. */
#ifndef HB_RUNTIME_H
#define HB_RUNTIME_H

#include "hb_const.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hb_runtime_model {
    uint8_t *input; /* where the input vector goes before an inference */
    size_t input_bytes;
    const uint8_t *output; /* valid after an inference */
    size_t output_bytes;
    size_t arena_bytes; /* of the memory given, how much is used */
    uint16_t operators;
};

enum hb_runtime_status {
    HB_RUNTIME_OK = 0,
    HB_RUNTIME_BAD_MODEL = 1, /* reason and position say what */
    HB_RUNTIME_NO_MEMORY = 2  /* reason = arena bytes needed */
};

struct hb_runtime_fault {
    uint32_t reason;
    uint32_t position;
};

const char *hb_runtime_name(void);    /* e.g. "plan 1" */
const char *hb_runtime_kernels(void); /* e.g. "portable" */

/* The same two texts by names that are in the image's symbol table: the host reads there what it
 * has to prepare before anything is flashed. */
extern const char hb_runtime_text[], hb_kernels_name[];

/* Loads the model in [model, model + length), which stays where it is, with working memory
 * [arena, arena + arena_bytes). Both are 16-byte aligned. Never touches anything else, whatever the
 * model says. */
enum hb_runtime_status hb_runtime_load(const HB_CONST uint8_t *model, size_t length, uint8_t *arena,
                                       size_t arena_bytes, struct hb_runtime_model *out,
                                       struct hb_runtime_fault *fault);

/* One inference. May destroy the input. */
enum hb_runtime_status hb_runtime_invoke(struct hb_runtime_fault *fault);

/* One inference that calls mark(context, i) right after operator i. */
typedef void (*hb_runtime_mark)(void *context, uint16_t operator_index);
enum hb_runtime_status hb_runtime_invoke_marked(hb_runtime_mark mark, void *context,
                                                struct hb_runtime_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
