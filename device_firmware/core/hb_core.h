/* The command loop: everything a firmware's main() has to call. */
#ifndef HB_CORE_H
#define HB_CORE_H

#include <stdbool.h>
#include <stdint.h>

/* Initialises port and core, sends HELLO_REPLY, answers the host; never returns. */
void hb_core_run(void);

/* The two halves of hb_core_run(), for a firmware with a loop of its own and for tests.
 * hb_core_poll() handles what has arrived; false when nothing had. */
void hb_core_init(void);
bool hb_core_poll(void);

enum hb_log_level { HB_LOG_DEBUG = 0, HB_LOG_INFO = 1, HB_LOG_WARNING = 2, HB_LOG_ERROR = 3 };

/* Sends text to the host's people. The line is silent during a run: text logged then is dropped,
 * and a warning after RUN_DONE says so. */
void hb_log(enum hb_log_level level, const char *text);

#endif
