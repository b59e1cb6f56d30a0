/* The pool: [model | arena | input slots | output slots], and the loaded model in it. Where the
 * image holds a resident plan, that one is the model, and the pool begins with the arena. */
#ifndef HB_MODEL_H
#define HB_MODEL_H

#include "hb_protocol.h"
#include "hb_runtime.h"
#include "hb_sha256.h"

struct hb_model {
    bool loaded;
    bool cold;                     /* no inference since it was loaded */
    const HB_CONST uint8_t *bytes; /* in the pool or in the image */
    size_t length;
    uint8_t sha256[HB_SHA256_BYTES];
    struct hb_runtime_model io;
    uint8_t *inputs;  /* pristine, slot after slot; the runtime's own input when slots is 0 */
    uint8_t *outputs; /* kept, slot after slot; the runtime's own output when slots is 0 */
    uint16_t slots;   /* 0: direct mode, no room for a pristine copy */
};

static inline uint32_t hb_model_input_slots(const struct hb_model *model) {
    return model->slots > 0 ? model->slots : 1;
}

/* Verifies and loads what lies in the pool or the resident plan. Loading what is loaded already
 * changes nothing. On refusal returns false with error's code and details filled in. */
bool hb_model_load(struct hb_model *model, const struct hb_load *load, struct hb_error *error);

/* Hashes the model's memory again; a model that changed behind our back is unloaded. A resident
 * plan that is not loaded is loaded; why it cannot be, LOAD says. */
void hb_model_verify(struct hb_model *model);

#endif
