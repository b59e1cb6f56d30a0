#include "fake_runtime.h"
#include "fake_port.h"
#include "hb_core.h"

#include <string.h>

struct fake_runtime fake_runtime;

static struct {
    uint8_t *input, *output;
    size_t input_bytes, output_bytes;
    uint16_t operators;
    bool fresh;
} model;

const char *hb_runtime_name(void) {
    return "fake";
}

const char *hb_runtime_kernels(void) {
    return "none";
}

enum hb_runtime_status hb_runtime_load(const uint8_t *bytes, size_t length, uint8_t *arena,
                                       size_t arena_bytes, struct hb_runtime_model *out,
                                       struct hb_runtime_fault *fault) {
    fake_runtime.loads++;
    if (length < FAKE_MODEL_BYTES || bytes[0] != 'F') {
        fault->reason = 42;
        fault->position = 1;
        return HB_RUNTIME_BAD_MODEL;
    }
    size_t needed = (size_t)bytes[4] | (size_t)bytes[5] << 8;
    size_t io_bytes = (size_t)bytes[1] + bytes[2];
    needed = needed > io_bytes ? needed : io_bytes;
    if (needed > arena_bytes) {
        fault->reason = (uint32_t)needed;
        return HB_RUNTIME_NO_MEMORY;
    }
    model.input_bytes = bytes[1];
    model.output_bytes = bytes[2];
    model.operators = bytes[3];
    model.input = arena;
    model.output = arena + model.input_bytes;
    model.fresh = true;
    *out = (struct hb_runtime_model){
        model.input, model.input_bytes, model.output, model.output_bytes, needed, model.operators};
    return HB_RUNTIME_OK;
}

static enum hb_runtime_status invoke(struct hb_runtime_fault *fault) {
    static const uint8_t noise[64] = {0x55};
    fake_runtime.invokes++;
    if (fake_runtime.invokes == fake_runtime.fail_at) {
        fault->reason = 77;
        return HB_RUNTIME_BAD_MODEL;
    }
    uint8_t sum = fake_runtime.drift ? (uint8_t)fake_runtime.invokes : 0;
    for (size_t i = 0; i < model.input_bytes; ++i) {
        sum = (uint8_t)(sum + model.input[i]);
    }
    memset(model.input, 0xEE, model.input_bytes);
    for (size_t i = 0; i < model.output_bytes; ++i) {
        model.output[i] = (uint8_t)(sum + i);
    }
    if (fake_runtime.log) {
        hb_log(HB_LOG_INFO, "in the middle of it");
    }
    fake_port_receive(noise, fake_runtime.receive);
    return HB_RUNTIME_OK;
}

static uint32_t take_ticks(void) {
    uint32_t ticks = model.fresh ? fake_runtime.ticks_first : fake_runtime.ticks;
    model.fresh = false;
    return ticks;
}

enum hb_runtime_status hb_runtime_invoke(struct hb_runtime_fault *fault) {
    fake.counter += take_ticks();
    return invoke(fault);
}

enum hb_runtime_status hb_runtime_invoke_marked(hb_runtime_mark mark, void *context,
                                                struct hb_runtime_fault *fault) {
    enum hb_runtime_status status = invoke(fault);
    take_ticks();
    if (status != HB_RUNTIME_OK) {
        return status; /* in its first operator */
    }
    for (uint16_t i = 0; i < model.operators; ++i) {
        fake.counter += fake_runtime.operator_ticks + i;
        mark(context, i);
    }
    return status;
}
