#include "hb_run.h"

#include "hb_crc32.h"
#include "hb_port.h"
#include <string.h>

/* Between two operators the pin is low for 61 us (half of 1/8192 s) or more: six samples of a meter
 * that takes 100,000 a second. */
#define OPERATOR_GAP_SHIFT 13

struct loop {
    struct hb_model *model;
    const struct hb_clock *clock;
    const struct hb_run *run;
    struct hb_measures *measures;
    struct hb_run_done *done;
    struct hb_error *error;
    uint32_t made;         /* inferences of this run, cold and warm-up included */
    uint32_t lap_last;     /* counter up to which window_ticks is summed: MARKER_WINDOW */
    uint32_t mark_last;    /* counter when the current operator began */
    uint64_t mark_elapsed; /* gross ticks of this inference's operators */
};

static bool fail(struct loop *loop, enum hb_error_code code, uint32_t detail0, uint32_t detail1) {
    loop->error->code = (uint8_t)code;
    loop->error->detail0 = detail0;
    loop->error->detail1 = detail1;
    return false;
}

/* The counter wraps at most once from one reading to the next. */
static void add_high(struct loop *loop, uint32_t start, uint32_t end) {
    loop->done->window_ticks += hb_clock_elapsed(loop->clock, start, end);
}

/* The marker and the counter: pin up, read, ..., read, pin down, with nothing in between, so that
 * the pin is up for the elapsed ticks and the cost of one reading, which the two halves outside of
 * them add up to; moving the pin itself is not counted. */
static void add_pulse(struct loop *loop, uint32_t start, uint32_t end) {
    add_high(loop, start, end);
    add_high(loop, 0, loop->clock->overhead_ticks);
}

static void begin_operator(struct loop *loop) {
    uint32_t left = hb_port_info()->counter_hz >> OPERATOR_GAP_SHIFT;
    const uint32_t start = hb_port_counter();
    /* Counts down as well: a counter that stands still must not hold us. */
    while (hb_clock_elapsed(loop->clock, start, hb_port_counter()) < left) {
        --left;
    }
    hb_port_marker(true);
    loop->mark_last = hb_port_counter();
}

/* Reads the counter on entry and again on exit, so that its own work is in no operator's ticks. */
static void mark(void *context, uint16_t operator_index) {
    struct loop *loop = context;
    uint32_t now = hb_port_counter();
    const bool marker = loop->run->flags & HB_RUN_MARKER_OPERATORS;
    if (marker) {
        hb_port_marker(false);
    }
    if (operator_index < loop->measures->profiled_operators) {
        loop->measures->profile[operator_index] += hb_clock_net(loop->clock, loop->mark_last, now);
    }
    loop->mark_elapsed += hb_clock_elapsed(loop->clock, loop->mark_last, now);
    if (marker) {
        add_pulse(loop, loop->mark_last, now);
    }
    if (marker && operator_index + 1u < loop->model->io.operators) {
        begin_operator(loop);
    } else {
        loop->mark_last = hb_port_counter();
    }
}

/* An inference may destroy its input. Returns ticks; 0 in direct mode, where the host restores. */
static uint32_t restore_input(struct loop *loop, uint32_t slot) {
    const struct hb_model *model = loop->model;
    if (model->slots == 0) {
        return 0;
    }
    uint32_t start = hb_port_counter();
    memcpy(model->io.input, model->inputs + slot * model->io.input_bytes, model->io.input_bytes);
    return hb_clock_net(loop->clock, start, hb_port_counter());
}

static bool infer(struct loop *loop, uint8_t flags, uint32_t *ticks) {
    struct hb_runtime_fault fault = {0, 0};
    enum hb_runtime_status status;
    uint32_t start, end;
    if (flags & HB_RUN_MARKER_EACH) {
        hb_port_marker(true);
    }
    if (flags & (HB_RUN_PROFILE | HB_RUN_MARKER_OPERATORS)) {
        loop->mark_elapsed = 0;
        start = hb_port_counter();
        loop->mark_last = start;
        if ((flags & HB_RUN_MARKER_OPERATORS) && loop->model->io.operators > 0) {
            begin_operator(loop);
        }
        status = hb_runtime_invoke_marked(mark, loop, &fault);
        end = hb_port_counter();
    } else {
        start = hb_port_counter();
        status = hb_runtime_invoke(&fault);
        end = hb_port_counter();
    }
    if (flags & HB_RUN_MARKER_EACH) {
        hb_port_marker(false);
        add_pulse(loop, start, end);
    } else if (flags & HB_RUN_MARKER_WINDOW) {
        add_high(loop, loop->lap_last, start);
        add_high(loop, start, end);
        loop->lap_last = end;
    }
    if (status != HB_RUNTIME_OK) {
        if (flags & HB_RUN_MARKER_OPERATORS) {
            hb_port_marker(false); /* up for the operator that failed */
        }
        return fail(loop, HB_ERROR_INVOKE_FAILED, fault.reason, loop->made);
    }
    /* The parts are longer than the whole: the counter wrapped more than once meanwhile. */
    if ((flags & HB_RUN_PROFILE) &&
        loop->mark_elapsed > hb_clock_elapsed(loop->clock, start, end)) {
        return fail(loop, HB_ERROR_TICKS_OVERFLOW, loop->made, hb_port_info()->counter_bits);
    }
    *ticks = hb_clock_net(loop->clock, start, end);
    loop->made++;
    return true;
}

static void record(struct loop *loop, uint32_t ticks) {
    struct hb_measures *measures = loop->measures;
    struct hb_run_done *done = loop->done;
    const uint32_t capacity = HB_TICKS_CAPACITY;
    if (measures->ticks_stored < capacity) {
        measures->ticks[measures->ticks_stored++] = ticks;
    }
    measures->histogram[hb_histogram_bin(ticks)]++;
    done->ticks_min = done->inferences == 0 || ticks < done->ticks_min ? ticks : done->ticks_min;
    done->ticks_max = ticks > done->ticks_max ? ticks : done->ticks_max;
    done->ticks_sum += ticks;
    done->inferences++;
}

static bool run_slot(struct loop *loop, uint32_t slot) {
    const struct hb_runtime_model *io = &loop->model->io;
    uint32_t first_crc = 0;
    for (uint32_t i = 0; i < loop->run->iterations; ++i) {
        uint32_t ticks;
        loop->done->restore_ticks_sum += restore_input(loop, slot);
        if (!infer(loop, loop->run->flags, &ticks)) {
            return false;
        }
        record(loop, ticks);
        if (loop->run->iterations > 1) {
            uint32_t crc = hb_crc32(0, io->output, io->output_bytes);
            first_crc = i == 0 ? crc : first_crc;
            loop->done->outputs_equal = loop->done->outputs_equal && crc == first_crc;
        }
    }
    if (loop->model->slots > 0) {
        memcpy(loop->model->outputs + slot * io->output_bytes, io->output, io->output_bytes);
    }
    return true;
}

/* The first inference after LOAD, then the warm-up, both on the first slot. */
static bool prepare(struct loop *loop) {
    uint32_t slot = loop->run->first_slot, ticks;
    if (loop->model->cold) {
        loop->model->cold = false;
        restore_input(loop, slot);
        if (!infer(loop, 0, &loop->done->cold_ticks)) {
            return false;
        }
        loop->done->cold_valid = 1;
    }
    for (uint32_t i = 0; i < loop->run->warm_up; ++i) {
        restore_input(loop, slot);
        if (!infer(loop, 0, &ticks)) {
            return false;
        }
    }
    return true;
}

static void stay_busy(const struct hb_clock *clock) {
    const uint32_t start = hb_port_counter();
    const uint32_t ticks = hb_port_info()->counter_hz / (1000000u / HB_GUARD_US);
    uint32_t readings = ticks; /* a counter that stands still must not hold us */
    while (hb_clock_elapsed(clock, start, hb_port_counter()) < ticks && --readings > 0) {
    }
}

/* The pin is up here as well: by it an emulator tells that the board sleeps. */
static void doze(void) {
    hb_port_marker(true);
    hb_port_idle(HB_GUARD_US);
    hb_port_marker(false);
}

static void show_pattern(const struct hb_clock *clock) {
    for (uint16_t chip = 1u << (HB_PATTERN_CHIPS - 1); chip > 0; chip >>= 1) {
        if (HB_PATTERN & chip) {
            hb_port_marker(true);
            stay_busy(clock);
            hb_port_marker(false);
        } else {
            doze();
        }
    }
}

/* Between window and guards there is no work: to a meter it would be part of the window. */
static bool window(struct loop *loop) {
    const bool marker = loop->run->flags & HB_RUN_MARKER_WINDOW;
    const bool guarded = loop->run->flags & HB_RUN_GUARD;
    bool ok = true;
    if (loop->run->flags & HB_RUN_PATTERN) {
        show_pattern(loop->clock);
    }
    if (guarded) {
        doze();
    }
    if (marker) {
        hb_port_marker(true);
        loop->lap_last = hb_port_counter();
    }
    for (uint32_t i = 0; ok && i < loop->run->slots; ++i) {
        ok = run_slot(loop, loop->run->first_slot + i);
    }
    if (marker) {
        uint32_t now = hb_port_counter();
        hb_port_marker(false);
        if (guarded) {
            doze();
        }
        add_pulse(loop, loop->lap_last, now);
    }
    return ok;
}

bool hb_run_timed(struct hb_model *model, const struct hb_clock *clock, const struct hb_run *run,
                  struct hb_measures *measures, struct hb_run_done *done, struct hb_error *error) {
    struct loop loop = {model, clock, run, measures, done, error, 0, 0, 0, 0};
    memset(done, 0, sizeof *done);
    memset(measures->histogram, 0, sizeof measures->histogram);
    memset(measures->profile, 0, sizeof measures->profile);
    measures->ticks_stored = 0;
    measures->profiled_operators = run->flags & HB_RUN_PROFILE ? model->io.operators : 0;
    done->outputs_equal = 1;
    done->operators = model->io.operators;
    /* In direct mode the cold inference destroys the only copy of the input: it is the whole run.
     */
    bool cold_only = model->cold && model->slots == 0;
    bool ok = prepare(&loop) && (cold_only || window(&loop));
    done->ticks_stored = measures->ticks_stored;
    return ok;
}
