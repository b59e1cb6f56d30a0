/* A runtime whose answers, faults and bad manners a test chooses. */
#ifndef FAKE_RUNTIME_H
#define FAKE_RUNTIME_H

#include "hb_runtime.h"
#include <stdbool.h>

/* A model is 'F', then input, output, operators (a byte each), arena bytes (two bytes). It adds up
 * its input: output[i] = sum + i. Then it destroys the input, as an in-place plan does. */
#define FAKE_MODEL_BYTES 6

struct fake_runtime {
    uint32_t ticks_first, ticks; /* of the first inference after a load, of all others */
    uint32_t invokes, loads;
    uint32_t fail_at;        /* this invoke (from 1) fails with reason 77 */
    bool drift;              /* every inference gives another output */
    bool log;                /* logs during an inference */
    size_t receive;          /* bytes that arrive during every inference */
    uint32_t operator_ticks; /* profiled inferences: of every operator, 0: ticks / operators */
};

extern struct fake_runtime fake_runtime;

#endif
