/* Receive ring between one interrupt (or thread) that puts and one thread that gets.
 *
 * Memory order. Each index has one writer: `head` the producer, `tail` the consumer. The producer
 * stores the byte, then releases `head`; the consumer acquires `head`, loads the byte, then
 * releases `tail`; the producer acquires `tail` before it reuses a place. So no byte is read before
 * it is written, and none is overwritten before it is read, on one core (where this only stops the
 * compiler from reordering, plus a barrier instruction) as on two. An index must be loaded and
 * stored by one instruction: on 8-bit machines it is a byte. One place stays empty, so that head ==
 * tail means empty and nothing else. */
#ifndef HB_RING_H
#define HB_RING_H

#include "hb_port_config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if HB_RING_BYTES < 2 || (HB_RING_BYTES & (HB_RING_BYTES - 1)) != 0 || HB_RING_BYTES > 32768
#error "HB_RING_BYTES must be a power of two from 2 to 32768"
#endif
#if HB_RING_BYTES <= 256
typedef uint8_t hb_ring_index;
#elif defined(__AVR__)
#error "HB_RING_BYTES must be at most 256: an 8-bit machine loads a larger index in two pieces"
#else
typedef uint16_t hb_ring_index;
#endif

struct hb_ring {
    uint8_t bytes[HB_RING_BYTES];
    hb_ring_index head;         /* next place to put; written by the producer */
    hb_ring_index tail;         /* next place to get; written by the consumer */
    volatile uint32_t overruns; /* bytes that found the ring full; written by the producer */
};

/* Producer only. A byte that finds the ring full is counted and lost. */
static inline void hb_ring_put(struct hb_ring *ring, uint8_t byte) {
    hb_ring_index head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
    hb_ring_index next = (hb_ring_index)((head + 1u) & (HB_RING_BYTES - 1u));
    if (next == __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE)) {
        ring->overruns = ring->overruns + 1;
        return;
    }
    ring->bytes[head] = byte;
    __atomic_store_n(&ring->head, next, __ATOMIC_RELEASE);
}

/* Consumer only. Takes up to cap bytes, returns how many. */
static inline size_t hb_ring_get(struct hb_ring *ring, uint8_t *out, size_t cap) {
    hb_ring_index head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    hb_ring_index tail = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
    size_t count = 0;
    while (tail != head && count < cap) {
        out[count++] = ring->bytes[tail];
        tail = (hb_ring_index)((tail + 1u) & (HB_RING_BYTES - 1u));
    }
    __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
    return count;
}

/* Consumer only. */
static inline bool hb_ring_empty(const struct hb_ring *ring) {
    return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) ==
           __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
}

/* Consumer only. Two equal loads: a machine narrower than 32 bits could see half an update. */
static inline uint32_t hb_ring_overruns(const struct hb_ring *ring) {
    uint32_t first, second = ring->overruns;
    do {
        first = second;
        second = ring->overruns;
    } while (first != second);
    return first;
}

#endif
