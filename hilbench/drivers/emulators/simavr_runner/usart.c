/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "usart.h"

#include <string.h>

enum { UCSR0A = 0xC0, UCSR0B = 0xC1, UBRR0L = 0xC4, UBRR0H = 0xC5, UDR0 = 0xC6 };
enum { RXC = 0x80, TXC = 0x40, UDRE = 0x20, FE = 0x10, DOR = 0x08, U2X = 0x02, MPCM = 0x01 };
enum { RXCIE = 0x80, TXCIE = 0x40, UDRIE = 0x20, RXEN = 0x10, TXEN = 0x08 };
enum { FRAME_BITS = 10 };

uint32_t usart_chip_bit(const struct usart *u) {
    const uint8_t *data = u->io.avr->data;
    uint32_t divider = (uint32_t)(data[UBRR0L] | (data[UBRR0H] & 0x0F) << 8) + 1;
    return divider * (data[UCSR0A] & U2X ? 8 : 16);
}

/* What a receiver with the other bit time reads: each bit in its middle, from the start edge. */
static uint8_t resample(uint8_t sent, double sender_bit, double receiver_bit, bool *frame_error) {
    uint32_t wire = (uint32_t)sent << 1 | ~UINT32_C(0x1FF); /* start bit, data, stop, idle */
    uint32_t seen = 0;
    for (int k = 0; k < FRAME_BITS; k++) {
        int bit = (int)((k + 0.5) * receiver_bit / sender_bit);
        seen |= (bit > FRAME_BITS ? 1U : wire >> bit & 1U) << k;
    }
    *frame_error = !(seen >> (FRAME_BITS - 1));
    return (uint8_t)(seen >> 1);
}

/* The flags as the chip would show them; TXC lives in the register itself. */
static uint8_t status(struct usart *u) {
    uint8_t *a = &u->io.avr->data[UCSR0A];
    *a &= TXC | U2X | MPCM;
    if (u->fifo_length)
        *a |= RXC | (u->fifo_frame_error[0] ? FE : 0);
    if (u->overrun)
        *a |= DOR;
    if (!u->next_waits)
        *a |= UDRE;
    return *a;
}

static void follow(struct usart *u, avr_int_vector_t *vector, bool wanted) {
    if (wanted)
        avr_raise_interrupt(u->io.avr, vector);
    else
        avr_clear_interrupt(u->io.avr, vector);
}

/* Interrupt requests follow the flags. One deviation: a handler that leaves its flag set is not
 * called again before the flag's next event. */
static void request(struct usart *u) {
    uint8_t flags = status(u), enabled = u->io.avr->data[UCSR0B];
    follow(u, &u->vectors->rxc, flags & RXC && enabled & RXCIE);
    follow(u, &u->vectors->udrc, flags & UDRE && enabled & UDRIE);
    if (flags & TXC && enabled & TXCIE) /* cleared by its handler, not by us */
        avr_raise_interrupt(u->io.avr, &u->vectors->txc);
}

static void push(struct usart *u, uint8_t byte, bool frame_error) {
    u->fifo[u->fifo_length] = byte;
    u->fifo_frame_error[u->fifo_length++] = frame_error;
}

static avr_cycle_count_t start_frame(struct usart *u, avr_cycle_count_t when) {
    u->receiving = line_used(&u->to_chip) > 0;
    if (!u->receiving)
        return 0;
    if (u->shift_waits) { /* a start bit behind a full buffer: the byte in the register is lost */
        u->shift_waits = false;
        u->overrun = true;
        u->overruns++;
    }
    return when + (avr_cycle_count_t)(u->host_bit * FRAME_BITS);
}

static avr_cycle_count_t frame_received(avr_t *avr, avr_cycle_count_t when, void *param) {
    struct usart *u = param;
    bool frame_error;
    uint8_t sent = u->to_chip.bytes[u->to_chip.out++ % LINE_BYTES];
    uint8_t byte = resample(sent, u->host_bit, usart_chip_bit(u), &frame_error);
    if (avr->data[UCSR0B] & RXEN) { /* else it passes by */
        if (u->fifo_length < sizeof u->fifo) {
            push(u, byte, frame_error);
        } else {
            u->shift = byte;
            u->shift_frame_error = frame_error;
            u->shift_waits = true;
        }
        request(u);
    }
    return start_frame(u, when);
}

void usart_kick(struct usart *u) {
    if (u->receiving)
        return;
    avr_cycle_count_t now = u->io.avr->cycle, end = start_frame(u, now);
    if (end)
        avr_cycle_timer_register(u->io.avr, end - now, frame_received, u);
}

static uint8_t read_udr(avr_t *avr, avr_io_addr_t addr, void *param) {
    (void)avr, (void)addr;
    struct usart *u = param;
    uint8_t byte = u->fifo[0];
    if (u->fifo_length) {
        u->fifo[0] = u->fifo[1];
        u->fifo_frame_error[0] = u->fifo_frame_error[1];
        u->fifo_length--;
    }
    if (u->shift_waits) {
        u->shift_waits = false;
        push(u, u->shift, u->shift_frame_error);
    }
    u->overrun = false;
    request(u);
    return byte;
}

static void to_host(struct usart *u, uint8_t sent) {
    bool frame_error;
    uint8_t byte = resample(sent, usart_chip_bit(u), u->host_bit, &frame_error);
    if (!u->host_listens)
        return;
    if (line_used(&u->to_host) == LINE_BYTES)
        u->lost_to_host++; /* nobody reads: a driver drops it, the chip knows nothing of it */
    else
        u->to_host.bytes[u->to_host.in++ % LINE_BYTES] = byte;
}

static avr_cycle_count_t frame_sent(avr_t *avr, avr_cycle_count_t when, void *param) {
    struct usart *u = param;
    to_host(u, u->sending);
    u->send_busy = u->next_waits;
    u->sending = u->next;
    u->next_waits = false;
    if (!u->send_busy)
        avr->data[UCSR0A] |= TXC;
    request(u);
    return u->send_busy ? when + usart_chip_bit(u) * FRAME_BITS : 0;
}

static void write_udr(avr_t *avr, avr_io_addr_t addr, uint8_t byte, void *param) {
    (void)addr;
    struct usart *u = param;
    if (!(avr->data[UCSR0B] & TXEN) || u->next_waits)
        return; /* the chip ignores a write to a full buffer */
    if (u->send_busy) {
        u->next = byte;
        u->next_waits = true;
    } else {
        u->sending = byte;
        u->send_busy = true;
        avr_cycle_timer_register(avr, usart_chip_bit(u) * FRAME_BITS, frame_sent, u);
    }
    request(u);
}

static uint8_t read_ucsra(avr_t *avr, avr_io_addr_t addr, void *param) {
    (void)avr, (void)addr;
    return status(param);
}

static void write_ucsra(avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param) {
    uint8_t kept = avr->data[addr] & TXC & (uint8_t)~value; /* TXC: written one, cleared */
    avr->data[addr] = kept | (value & (U2X | MPCM));
    status(param);
}

static void write_ucsrb(avr_t *avr, avr_io_addr_t addr, uint8_t value, void *param) {
    struct usart *u = param;
    avr->data[addr] = value;
    if (!(value & RXEN)) { /* a receiver that is switched off forgets */
        u->fifo_length = 0;
        u->shift_waits = u->overrun = false;
    }
    request(u);
}

static void usart_reset(avr_io_t *io) {
    struct usart *u = (struct usart *)io; /* simavr has cancelled all timers */
    u->fifo_length = 0;
    u->shift_waits = u->overrun = u->send_busy = u->next_waits = false;
    u->receiving = false;
    io->avr->data[UCSR0A] = io->avr->data[UCSR0B] = 0; /* simavr leaves its transmitter on */
    status(u);
}

static void hook(struct usart *u, avr_io_addr_t addr, avr_io_read_t read, avr_io_write_t write) {
    /* Not avr_register_io_*(): those would call simavr's own UART as well. */
    avr_t *avr = u->io.avr;
    avr->io[AVR_DATA_TO_IO(addr)].r.c = read;
    avr->io[AVR_DATA_TO_IO(addr)].r.param = u;
    avr->io[AVR_DATA_TO_IO(addr)].w.c = write;
    avr->io[AVR_DATA_TO_IO(addr)].w.param = u;
}

void usart_attach(struct usart *u, avr_t *avr) {
    avr_io_t **last = &avr->io_port;
    for (; *last; last = &(*last)->next)
        if (!strcmp((*last)->kind, "uart"))
            u->vectors = (avr_uart_t *)*last;
    *last = &u->io; /* last, so that reset comes after that of simavr's own UART */
    u->io.avr = avr;
    u->io.kind = "usart";
    u->io.reset = usart_reset;
    hook(u, UDR0, read_udr, write_udr);
    hook(u, UCSR0A, read_ucsra, write_ucsra);
    hook(u, UCSR0B, NULL, write_ucsrb);
    hook(u, UBRR0L, NULL, NULL);
    hook(u, UBRR0H, NULL, NULL);
}
