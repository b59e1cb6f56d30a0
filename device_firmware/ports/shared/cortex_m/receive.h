/* From the UART's interrupt to the core: receive.c supplies hb_port_uart_read(), _overruns(),
 * _wait() and hb_port_quiet() for a port that puts bytes in here. Its hb_port_config.h names
 * HB_UART_IRQ. */
#ifndef HB_RECEIVE_H
#define HB_RECEIVE_H

#include <stdint.h>

/* Both from the UART's interrupt only. */
void hb_receive_put(uint8_t byte);
void hb_receive_lost(void); /* the UART says that it had to drop a byte */

#endif
