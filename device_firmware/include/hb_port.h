/* What a port supplies. A missing function is a link error: there are no weak defaults.
 *
 * A port is a folder device_firmware/ports/<name>/ with port.mk, hb_port_config.h (sizes), and the
 * code behind these functions: registers of the real chip. The core calls everything from one
 * thread; only hb_ring_put() (core/hb_ring.h) may be called from an interrupt. */
#ifndef HB_PORT_H
#define HB_PORT_H

#include "hb_resident.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hb_port_info {
    const char *name;     /* the port's folder, e.g. "mps2-an386" */
    const char *chip;     /* e.g. "cortex-m4" */
    uint32_t counter_hz;  /* rate of hb_port_counter() */
    uint8_t counter_bits; /* it wraps at 2^counter_bits; longer than any inference */
    uint8_t clock_source; /* enum hb_clock_source: how counter_hz is known */
    bool untested;        /* true until somebody ran this port on a board */
};

void hb_port_init(void);
const struct hb_port_info *hb_port_info(void);

/* 20 bytes of the GNU build id note, from the image itself. */
const HB_CONST uint8_t *hb_port_build_id(void);
/* Writes up to cap characters of a unique id in ASCII (no terminator), returns the length;
 * 0 when the chip has none. */
size_t hb_port_unique_id(char *out, size_t cap);

/* Takes up to cap received bytes without waiting; returns how many. */
size_t hb_port_uart_read(uint8_t *out, size_t cap);
/* Sends all bytes; may wait. */
void hb_port_uart_write(const uint8_t *data, size_t length);
/* Returns when the last bit has left the chip. */
void hb_port_uart_flush(void);
/* Bytes lost since reset, in hardware or in the ring. */
uint32_t hb_port_uart_overruns(void);
/* Sleeps until at least one byte may have arrived; may return early. */
void hb_port_uart_wait(void);

/* Free-running, monotonic, wraps at 2^counter_bits, after 40 ms at the earliest. */
uint32_t hb_port_counter(void);
/* true: every interrupt that the timed loop does not need is off; false: back on. */
void hb_port_quiet(bool on);
/* Marker pin for the power meter. */
void hb_port_marker(bool on);
/* Sleeps as deep as the board's idle state goes, for at least this long: half a wrap at most. */
void hb_port_idle(uint32_t duration_us);
/* Does not return. */
void hb_port_reset(void);

/* Memory for model, arena and vectors; 16-byte aligned, where the machine cares. */
uint8_t *hb_port_pool(size_t *bytes);
/* false: models are loaded into the pool. true: the image has a section for a plan (hb_resident.h),
 * and that plan is the only model that this board runs; the pool is for arena and vectors. */
bool hb_port_resident(struct hb_resident *out);
/* The stack as [low, high), growing downwards; painted by the core at start. */
void hb_port_stack(uint8_t **low, uint8_t **high);

#endif
