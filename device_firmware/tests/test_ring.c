/* The receive ring, alone and between two threads. */
#include "check.h"
#include "hb_ring.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define CAPACITY     (HB_RING_BYTES - 1u)
#define STREAM_BYTES 300000u

static struct hb_ring ring;

static void empty_full_and_overrun(void) {
    uint8_t out[HB_RING_BYTES];
    CHECK(hb_ring_empty(&ring));
    CHECK_EQ(hb_ring_get(&ring, out, sizeof out), 0);
    for (unsigned round = 0; round < 3 * HB_RING_BYTES; ++round) { /* every position of the wrap */
        for (unsigned i = 0; i < CAPACITY + 2; ++i) {
            hb_ring_put(&ring, (uint8_t)(round + i));
        }
        CHECK(!hb_ring_empty(&ring));
        CHECK_EQ(hb_ring_overruns(&ring), 2 * (round + 1));
        CHECK_EQ(hb_ring_get(&ring, out, 10), 10);
        CHECK_EQ(hb_ring_get(&ring, out + 10, sizeof out), CAPACITY - 10);
        for (unsigned i = 0; i < CAPACITY; ++i) {
            CHECK_EQ(out[i], (uint8_t)(round + i));
        }
        hb_ring_put(&ring, 1); /* moves the start by one place */
        CHECK_EQ(hb_ring_get(&ring, out, sizeof out), 1);
    }
}

static void *produce(void *unused) {
    (void)unused;
    for (uint32_t i = 0; i < STREAM_BYTES; ++i) {
        uint32_t before;
        do {
            before = hb_ring_overruns(&ring);
            hb_ring_put(&ring, (uint8_t)(i * 31u >> 3));
            if (hb_ring_overruns(&ring) != before) {
                sched_yield();
            }
        } while (hb_ring_overruns(&ring) != before);
    }
    return NULL;
}

static void two_threads_keep_the_order(void) {
    pthread_t producer;
    uint8_t out[17];
    memset(&ring, 0, sizeof ring);
    CHECK(pthread_create(&producer, NULL, produce, NULL) == 0);
    for (uint32_t i = 0; i < STREAM_BYTES;) {
        size_t got = hb_ring_get(&ring, out, sizeof out);
        for (size_t k = 0; k < got; ++k, ++i) {
            CHECK_EQ(out[k], (uint8_t)(i * 31u >> 3));
        }
        if (got == 0) {
            sched_yield();
        }
    }
    pthread_join(producer, NULL);
    CHECK(hb_ring_empty(&ring));
}

int main(void) {
    empty_full_and_overrun();
    two_threads_keep_the_order();
    puts("ring: ok");
}
