// The arena of TensorFlow Lite Micro, placed so that it ends where it stops being used.
#ifndef HB_TFLM_ARENA_H
#define HB_TFLM_ARENA_H

#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"

#include <cstddef>
#include <cstdint>

namespace hb {

// TFLM's own arena grows from both ends: tensors from the start, what outlives an inference from
// the end. All memory left over lies between, and nothing can use it. So a model is allocated
// twice: first so, to learn both sizes, then with the persistent part below the tensors.
//
// TFLM writes through the null pointers that an arena returns when it is full, so this one returns
// none: it calls `full` with the bytes that are missing, and `full` does not return.
class Arena final : public tflite::SingleArenaBufferAllocator {
  public:
    using Full = void (*)(size_t missing_bytes);

    // As TFLM lays it out: to measure.
    Arena(uint8_t *memory, size_t bytes, Full full)
        : SingleArenaBufferAllocator(memory, bytes), full_(full) {
        charge_itself();
    }

    // `persistent_bytes` first, a multiple of the alignment, then the tensors.
    Arena(uint8_t *memory, size_t bytes, size_t persistent_bytes, Full full)
        : SingleArenaBufferAllocator(memory + persistent_bytes, bytes - persistent_bytes),
          full_(full), persistent_low_(memory), persistent_end_(memory + persistent_bytes),
          persistent_top_(persistent_end_) {
        charge_itself();
    }

    uint8_t *AllocatePersistentBuffer(size_t size, size_t alignment) override;
    size_t GetPersistentUsedBytes() const override;
    uint8_t *AllocateTemp(size_t size, size_t alignment) override;
    TfLiteStatus ResizeBuffer(uint8_t *buffer, size_t size, size_t alignment) override;

    // Of the library's objects none is on a heap.
    void operator delete(void *) {}

  private:
    // TFLM keeps its allocator at the end of the arena: count it, so that figures compare.
    void charge_itself() {
        AllocatePersistentBuffer(sizeof(tflite::SingleArenaBufferAllocator),
                                 alignof(tflite::SingleArenaBufferAllocator));
    }

    Full full_;
    uint8_t *persistent_low_ = nullptr; // null: as TFLM lays it out
    uint8_t *persistent_end_ = nullptr;
    uint8_t *persistent_top_ = nullptr;
};

} // namespace hb

#endif
