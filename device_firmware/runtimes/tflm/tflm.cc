// TensorFlow Lite Micro behind hb_runtime.h: models are .tflite files. The library is the user's;
// see docs/runtimes.md. Nothing here is on a heap, nothing is constructed before main().
#include "arena.h"
#include "hb_runtime.h"
#include "hb_tflm.h"
#include "model_check.h"

#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

#include <csetjmp>
#include <cstdarg>
#include <cstring>
#include <new>

namespace {

constexpr size_t kAlignment = 16;

// Operators, as MicroMutableOpResolver adds them, and the kernels that know nothing but int8.
#define OPERATORS(X)                                                                               \
    X(Add, ADD_INT8)                                                                               \
    X(AveragePool2D, AVERAGE_POOL_2D_INT8)                                                         \
    X(Conv2D, CONV_2D_INT8)                                                                        \
    X(DepthwiseConv2D, DEPTHWISE_CONV_2D_INT8)                                                     \
    X(FullyConnected, FULLY_CONNECTED_INT8)                                                        \
    X(MaxPool2D, MAX_POOL_2D_INT8)                                                                 \
    X(Mean, MEAN)                                                                                  \
    X(Reshape, RESHAPE)                                                                            \
    X(Softmax, SOFTMAX_INT8)

enum Operator {
#define NUMBER(name, kernel) k##name,
    OPERATORS(NUMBER)
#undef NUMBER
        kOperators
};
using Resolver = tflite::MicroMutableOpResolver<kOperators>;

template <typename T> struct alignas(T) Place { uint8_t bytes[sizeof(T)]; };
Place<Resolver> resolver_place;
Place<hb::Arena> arena_place;
Place<tflite::MicroInterpreter> interpreter_place;

Resolver *resolver;                    // null before the first model
tflite::MicroInterpreter *interpreter; // null: no model is loaded

// Where an inference or an allocation is.
struct {
    uint16_t at;    // operator
    bool in_kernel; // has been asked about it and has not agreed
    hb_runtime_mark mark;
    void *context;
} progress;

// The library's profiler says nothing where its error strings are stripped, so the kernels are
// wrapped instead: a few instructions per operator, whether or not anybody listens.
TFLMRegistration kernels[kOperators];

template <int I> TfLiteStatus prepare(TfLiteContext *context, TfLiteNode *node) {
    const auto theirs = kernels[I].prepare;
    progress.in_kernel = true;
    const TfLiteStatus status = theirs == nullptr ? kTfLiteOk : theirs(context, node);
    if (status == kTfLiteOk) {
        progress.in_kernel = false;
        progress.at++;
    }
    return status;
}

template <int I> TfLiteStatus invoke(TfLiteContext *context, TfLiteNode *node) {
    const TfLiteStatus status = kernels[I].invoke(context, node);
    if (status == kTfLiteOk) {
        if (progress.mark != nullptr) {
            progress.mark(progress.context, progress.at);
        }
        progress.at++;
    }
    return status;
}

template <int I> TFLMRegistration wrapped(const TFLMRegistration &kernel) {
    kernels[I] = kernel;
    TFLMRegistration own = kernel;
    own.prepare = prepare<I>;
    own.invoke = invoke<I>;
    return own;
}

const tflite::MicroOpResolver &operators() {
    if (resolver == nullptr) {
        resolver = new (resolver_place.bytes) Resolver();
#define REGISTER(name, kernel) resolver->Add##name(wrapped<k##name>(tflite::Register_##kernel()));
        OPERATORS(REGISTER)
#undef REGISTER
    }
    return *resolver;
}

// The library ends the program when an assertion fails, and writes through null pointers when the
// arena is full. Here both come back to where the library was called.
enum Stop { kNotStopped = 0, kFull = 1, kHalted = 2 };
struct {
    bool armed;
    jmp_buf back;
    size_t missing_bytes;
} guard;

[[noreturn]] void stop(Stop why) {
    if (!guard.armed) {
        __builtin_trap();
    }
    guard.armed = false;
    std::longjmp(guard.back, why);
}

void full(size_t missing_bytes) {
    guard.missing_bytes = missing_bytes;
    stop(kFull);
}

Stop guarded(TfLiteStatus (*work)(), TfLiteStatus *status) {
    guard.armed = true;
    const int why = setjmp(guard.back);
    if (why == kNotStopped) {
        *status = work();
        guard.armed = false;
    }
    return static_cast<Stop>(why);
}

enum hb_runtime_status bad(struct hb_runtime_fault *fault, enum hb_tflm_fault reason,
                           uint32_t position) {
    fault->reason = static_cast<uint32_t>(reason);
    fault->position = position;
    return HB_RUNTIME_BAD_MODEL;
}

constexpr size_t align_up(size_t bytes) {
    return (bytes + kAlignment - 1) & ~(kAlignment - 1);
}

struct Request {
    const tflite::Model *model;
    uint8_t *memory;
    size_t bytes;
};
Request request;
size_t persistent_bytes; // of the arena

// Allocator, planner and interpreter of a previous model are left as they are: what they hold is in
// the arena, and the kernels of the list own nothing else.
TfLiteStatus allocate_in(hb::Arena *arena) {
    auto *planner = new (arena->AllocatePersistentBuffer(sizeof(tflite::GreedyMemoryPlanner),
                                                         alignof(tflite::GreedyMemoryPlanner)))
        tflite::GreedyMemoryPlanner();
    auto *allocator = tflite::MicroAllocator::Create(arena, planner);
    interpreter = new (interpreter_place.bytes)
        tflite::MicroInterpreter(request.model, operators(), allocator);
    progress.at = 0;
    progress.in_kernel = false;
    return interpreter->AllocateTensors();
}

TfLiteStatus allocate() {
    auto *measured = new (arena_place.bytes) hb::Arena(request.memory, request.bytes, full);
    const TfLiteStatus status = allocate_in(measured);
    if (status != kTfLiteOk) {
        return status;
    }
    persistent_bytes = measured->GetPersistentUsedBytes();
    return allocate_in(new (arena_place.bytes) hb::Arena(request.memory, request.bytes,
                                                         align_up(persistent_bytes), full));
}

TfLiteStatus invoke_interpreter() {
    return interpreter->Invoke();
}

uint16_t count_operators() {
    return static_cast<uint16_t>(request.model->subgraphs()->Get(0)->operators()->size());
}

enum hb_runtime_status too_small(struct hb_runtime_fault *fault, size_t missing_bytes) {
    // At least: what would have been asked for next is not known. A part of 16 bytes is no use.
    fault->reason = static_cast<uint32_t>(align_up(request.bytes + missing_bytes));
    return HB_RUNTIME_NO_MEMORY;
}

// Why allocate() failed.
enum hb_runtime_status refusal(Stop stopped, struct hb_runtime_fault *fault) {
    if (stopped == kFull) {
        return too_small(fault, guard.missing_bytes);
    }
    if (stopped == kHalted) {
        return bad(fault, HB_TFLM_HALTED, progress.at);
    }
    if (progress.in_kernel) {
        return bad(fault, HB_TFLM_PREPARE, progress.at);
    }
    if (progress.at == count_operators()) {
        return too_small(fault, 1u); // the planner takes what is left, and that was not enough
    }
    return bad(fault, HB_TFLM_ALLOCATE, 0u);
}

// TFLM's own figure, and more only where the gap after the persistent part is not its rounding.
size_t arena_bytes_taken() {
    const size_t used = interpreter->arena_used_bytes();
    const size_t end = used + align_up(persistent_bytes) - persistent_bytes;
    return end <= align_up(used) ? used : end;
}

} // namespace

extern "C" {

const char hb_runtime_text[] = "tflm " HB_TFLM_LIBRARY;
const char hb_kernels_name[] = HB_TFLM_KERNELS;

const char *hb_runtime_name(void) {
    return hb_runtime_text;
}

const char *hb_runtime_kernels(void) {
    return hb_kernels_name;
}

enum hb_runtime_status hb_runtime_load(const HB_CONST uint8_t *model, size_t length, uint8_t *arena,
                                       size_t arena_bytes, struct hb_runtime_model *out,
                                       struct hb_runtime_fault *fault) {
    interpreter = nullptr;
    request.model = hb::check_model(model, length, operators(), arena, arena_bytes, fault);
    if (request.model == nullptr) {
        return HB_RUNTIME_BAD_MODEL;
    }
    request.memory = arena;
    request.bytes = arena_bytes & ~(kAlignment - 1);
    TfLiteStatus status = kTfLiteError;
    const Stop stopped = guarded(allocate, &status);
    if (stopped != kNotStopped || status != kTfLiteOk) {
        interpreter = nullptr;
        return refusal(stopped, fault);
    }
    const TfLiteTensor *input = interpreter->input(0);
    const TfLiteTensor *output = interpreter->output(0);
    out->input = reinterpret_cast<uint8_t *>(input->data.raw);
    out->input_bytes = input->bytes;
    out->output = reinterpret_cast<const uint8_t *>(output->data.raw);
    out->output_bytes = output->bytes;
    out->arena_bytes = arena_bytes_taken();
    out->operators = count_operators();
    return HB_RUNTIME_OK;
}

enum hb_runtime_status hb_runtime_invoke(struct hb_runtime_fault *fault) {
    return hb_runtime_invoke_marked(nullptr, nullptr, fault);
}

enum hb_runtime_status hb_runtime_invoke_marked(hb_runtime_mark mark, void *context,
                                                struct hb_runtime_fault *fault) {
    if (interpreter == nullptr) {
        return bad(fault, HB_TFLM_NOT_LOADED, 0u);
    }
    progress.at = 0;
    progress.mark = mark;
    progress.context = context;
    TfLiteStatus status = kTfLiteError;
    if (guarded(invoke_interpreter, &status) == kHalted) {
        return bad(fault, HB_TFLM_HALTED, progress.at);
    }
    return status == kTfLiteOk ? HB_RUNTIME_OK : bad(fault, HB_TFLM_INVOKE, progress.at);
}

// ---- what the library expects of a platform ----

// Failed assertions end here (--wrap in flags.mk), or print "HALTED" and loop for ever.
[[noreturn]] void __wrap_abort(void);
void __wrap_abort(void) {
    stop(kHalted);
}
// Of newlib and of glibc.
[[noreturn]] void __wrap___assert_func(const char *, int, const char *, const char *);
void __wrap___assert_func(const char *, int, const char *, const char *) {
    stop(kHalted);
}
[[noreturn]] void __wrap___assert_fail(const char *, const char *, unsigned, const char *);
void __wrap___assert_fail(const char *, const char *, unsigned, const char *) {
    stop(kHalted);
}

void DebugLog(const char *format, va_list arguments);
void DebugLog(const char *format, va_list arguments) {
    (void)arguments; // there is no console
    if (std::strcmp(format, "HALTED") == 0) {
        stop(kHalted);
    }
}

int DebugVsnprintf(char *buffer, size_t bytes, const char *format, va_list arguments);
int DebugVsnprintf(char *buffer, size_t bytes, const char *format, va_list arguments) {
    (void)format;
    (void)arguments;
    if (bytes != 0) {
        buffer[0] = '\0';
    }
    return 0;
}

[[noreturn]] void __cxa_pure_virtual(void);
void __cxa_pure_virtual(void) {
    stop(kHalted);
}

} // extern "C"

// Virtual destructors name it; nothing here is ever deleted.
void operator delete(void *) noexcept {
    __builtin_trap();
}
void operator delete(void *, size_t) noexcept {
    __builtin_trap();
}
