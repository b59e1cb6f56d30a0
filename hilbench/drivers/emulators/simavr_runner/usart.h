/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * USART0 of an ATmega328P, in place of simavr's: bit times of both ends of the line, the two-byte
 * receive buffer with its shift register behind it, overrun and framing error. 8N1 only; the phase
 * of the baud generator is not modelled. */
#ifndef USART_H
#define USART_H

#include <simavr/avr_uart.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES 65536 /* what a host's serial driver holds, each way */

struct line { /* a ring: put may be refused */
    uint8_t bytes[LINE_BYTES];
    uint32_t in, out;
};

struct usart {
    avr_io_t io; /* first: simavr hands it back to usart_reset */
    avr_uart_t *vectors;
    double host_bit; /* cycles of a bit at the host's end */
    struct line to_chip, to_host;
    uint8_t fifo[2], shift; /* received: buffer, shift register */
    bool fifo_frame_error[2], shift_frame_error;
    uint8_t fifo_length;
    bool shift_waits, overrun, receiving;
    uint8_t sending, next; /* transmitted: shift register, buffer */
    bool send_busy, next_waits;
    bool host_listens; /* the port is open: else what is sent is heard by nobody */
    uint64_t overruns, lost_to_host;
};

void usart_attach(struct usart *usart, avr_t *avr);
/* Looks at the line to the chip; call after putting bytes there. */
void usart_kick(struct usart *usart);
/* Cycles of a bit at the chip's end. */
uint32_t usart_chip_bit(const struct usart *usart);

static inline size_t line_used(const struct line *line) {
    return line->in - line->out;
}

#endif
