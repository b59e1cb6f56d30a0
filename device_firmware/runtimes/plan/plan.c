/* Executes plans: see device_firmware/PLAN.md.
 *
 * A plan may come from anywhere, so hb_runtime_load() checks every offset, size and parameter of
 * every operator before the first one runs; hb_runtime_invoke() checks nothing. */
#include "hb_runtime.h"

#include "kernels/hb_kernel.h"

/* Sizes and sums of offsets then fit int32. */
#define MAX_SECTION_BYTES ((uint32_t)INT32_MAX)

static struct {
    const HB_CONST uint8_t *records; /* NULL: nothing is loaded */
    uint16_t operators;
    struct hb_kernel_memory memory;
} loaded;

const char hb_runtime_text[] = "plan 1";

const char *hb_runtime_name(void) {
    return hb_runtime_text;
}

const char *hb_runtime_kernels(void) {
    return hb_kernels_name;
}

static const struct hb_kernel *find_kernel(uint16_t kind) {
    for (const struct hb_kernel *const *kernel = hb_kernels; *kernel != NULL; kernel++) {
        if ((*kernel)->kind == kind) {
            return *kernel;
        }
    }
    return NULL;
}

static enum hb_plan_fault check_header(const struct hb_plan_header *header, size_t length) {
    if (header->magic != HB_PLAN_MAGIC) {
        return HB_PLAN_FAULT_MAGIC;
    }
    if (header->version != HB_PLAN_VERSION) {
        return HB_PLAN_FAULT_VERSION;
    }
    if (header->length != length || header->length > MAX_SECTION_BYTES) {
        return HB_PLAN_FAULT_LENGTH;
    }
    if (header->operators_offset < sizeof *header || header->operators_offset % 4u != 0u ||
        header->constants_offset % HB_PLAN_ALIGNMENT != 0u ||
        header->operators_offset > header->constants_offset ||
        header->constants_offset > header->length) {
        return HB_PLAN_FAULT_SECTION;
    }
    if (header->arena_bytes > MAX_SECTION_BYTES || header->input_bytes == 0u ||
        header->output_bytes == 0u ||
        !hb_inside(header->input, header->input_bytes, 1u, header->arena_bytes) ||
        !hb_inside(header->output, header->output_bytes, 1u, header->arena_bytes)) {
        return HB_PLAN_FAULT_BOUNDARY;
    }
    return HB_PLAN_FAULT_NONE;
}

/* Checks the record at *position, whose table ends at `end`, and moves *position past it. */
static enum hb_plan_fault check_record(const HB_CONST uint8_t *model, uint32_t *position,
                                       uint32_t end, const struct hb_kernel_memory *memory) {
    struct hb_plan_head head;
    if (end - *position < sizeof head) {
        return HB_PLAN_FAULT_RECORD;
    }
    hb_const_copy(&head, model + *position, sizeof head);
    const struct hb_kernel *kernel = find_kernel(head.kind);
    if (kernel == NULL) {
        return HB_PLAN_FAULT_KIND;
    }
    if (head.bytes != kernel->record_bytes || head.bytes > end - *position) {
        return HB_PLAN_FAULT_RECORD;
    }
    const enum hb_plan_fault fault = kernel->check(model + *position, memory);
    if (fault == HB_PLAN_FAULT_NONE) {
        *position += head.bytes;
    }
    return fault;
}

static enum hb_runtime_status bad_model(struct hb_runtime_fault *fault, enum hb_plan_fault reason,
                                        uint32_t position) {
    fault->reason = (uint32_t)reason;
    fault->position = position;
    return HB_RUNTIME_BAD_MODEL;
}

enum hb_runtime_status hb_runtime_load(const HB_CONST uint8_t *model, size_t length, uint8_t *arena,
                                       size_t arena_bytes, struct hb_runtime_model *out,
                                       struct hb_runtime_fault *fault) {
    struct hb_plan_header header;
    loaded.records = NULL;
    if (length < sizeof header) {
        return bad_model(fault, HB_PLAN_FAULT_TOO_SHORT, (uint32_t)length);
    }
    hb_const_copy(&header, model, sizeof header);
    enum hb_plan_fault reason = check_header(&header, length);
    if (reason != HB_PLAN_FAULT_NONE) {
        return bad_model(fault, reason, 0u);
    }
    const struct hb_kernel_memory memory = {model + header.constants_offset,
                                            header.length - header.constants_offset, arena,
                                            header.arena_bytes};
    uint32_t position = header.operators_offset;
    for (uint32_t i = 0; i < header.operators; i++) {
        reason = check_record(model, &position, header.constants_offset, &memory);
        if (reason != HB_PLAN_FAULT_NONE) {
            return bad_model(fault, reason, position);
        }
    }
    if (header.arena_bytes > arena_bytes) {
        fault->reason = header.arena_bytes;
        fault->position = 0u;
        return HB_RUNTIME_NO_MEMORY;
    }
    loaded.records = model + header.operators_offset;
    loaded.operators = header.operators;
    loaded.memory = memory;
    out->input = arena + header.input;
    out->input_bytes = (size_t)header.input_bytes;
    out->output = arena + header.output;
    out->output_bytes = (size_t)header.output_bytes;
    out->arena_bytes = (size_t)header.arena_bytes;
    out->operators = header.operators;
    return HB_RUNTIME_OK;
}

static void no_mark(void *context, uint16_t operator_index) {
    (void)context;
    (void)operator_index;
}

enum hb_runtime_status hb_runtime_invoke(struct hb_runtime_fault *fault) {
    return hb_runtime_invoke_marked(no_mark, NULL, fault);
}

enum hb_runtime_status hb_runtime_invoke_marked(hb_runtime_mark mark, void *context,
                                                struct hb_runtime_fault *fault) {
    if (loaded.records == NULL) {
        return bad_model(fault, HB_PLAN_FAULT_NOT_LOADED, 0u);
    }
    const HB_CONST uint8_t *record = loaded.records;
    for (uint16_t i = 0; i < loaded.operators; i++) {
        struct hb_plan_head head;
        hb_const_copy(&head, record, sizeof head);
        find_kernel(head.kind)->run(record, &loaded.memory);
        mark(context, i);
        record += head.bytes;
    }
    return HB_RUNTIME_OK;
}
