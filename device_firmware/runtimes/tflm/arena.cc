#include "arena.h"

namespace hb {

uint8_t *Arena::AllocatePersistentBuffer(size_t size, size_t alignment) {
    if (persistent_low_ == nullptr) {
        const size_t left = SingleArenaBufferAllocator::GetAvailableMemory(alignment);
        uint8_t *const buffer =
            size > left ? nullptr
                        : SingleArenaBufferAllocator::AllocatePersistentBuffer(size, alignment);
        if (buffer == nullptr) {
            full_(size > left ? size - left : alignment);
        }
        return buffer;
    }
    const uintptr_t low = reinterpret_cast<uintptr_t>(persistent_low_);
    const uintptr_t top = reinterpret_cast<uintptr_t>(persistent_top_);
    if (size > top - low || ((top - size) & ~(alignment - 1)) < low) {
        full_(size);
    }
    const uintptr_t at = (top - size) & ~(alignment - 1);
    persistent_top_ = persistent_low_ + (at - low);
    return persistent_top_;
}

size_t Arena::GetPersistentUsedBytes() const {
    return persistent_low_ == nullptr ? SingleArenaBufferAllocator::GetPersistentUsedBytes()
                                      : static_cast<size_t>(persistent_end_ - persistent_top_);
}

uint8_t *Arena::AllocateTemp(size_t size, size_t alignment) {
    uint8_t *const buffer = SingleArenaBufferAllocator::AllocateTemp(size, alignment);
    if (buffer == nullptr) {
        full_(size - GetAvailableMemory(alignment));
    }
    return buffer;
}

// The only buffer that changes its size begins at the start, and nothing temporary is alive then.
TfLiteStatus Arena::ResizeBuffer(uint8_t *buffer, size_t size, size_t alignment) {
    const size_t left = GetAvailableMemory(alignment) + GetNonPersistentUsedBytes();
    if (size > left) {
        full_(size - left);
    }
    return SingleArenaBufferAllocator::ResizeBuffer(buffer, size, alignment);
}

} // namespace hb
