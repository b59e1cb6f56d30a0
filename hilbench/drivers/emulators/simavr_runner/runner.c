/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * simavr-runner: an Arduino Uno (ATmega328P at 16 MHz) behind a PTY.
 *
 *   simavr-runner --pty FD --control FD --events FD [--edges FD] [--resets-on-open PATH] [--free]
 *                 [--dies-at-page N] [--flips-bit-of ADDRESS] [--ignores-writes]
 *
 * Everything is an inherited file descriptor; README.md says what goes over each. The program ends
 * when the other end of the control socket is closed. */
#define _GNU_SOURCE
#include "usart.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <simavr/avr_flash.h>
#include <simavr/avr_ioport.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_core_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CLOCK_HZ = 16000000,
    FLASH_BYTES = 32768,
    BOOT_SECTION = 0x7E00, /* 256 words: fuse BOOTSZ of an Uno */
    SLICE_NS = 500000,
    SLICE = 8000,        /* cycles between two looks at the host: 0.5 ms */
    NAP = 32000,         /* the longest sleep without a look at the clock: 2 ms */
    PAGE_CYCLES = 68000, /* datasheet table 28-9: 3.7 to 4.5 ms for a page erase or write */
    MCUSR = 0x54,
    POWER_ON = 1,
    EXTERNAL = 2,
    WATCHDOG = 8,
    MARKER_PIN = 5,
    NS_PER_CYCLE_X2 = 125, /* 62.5 ns */
    LATE_NS = 20000000,    /* a host that lags more than this is not caught up with */
};

static avr_t *avr;
static struct usart usart;
static int pty_fd = -1, control_fd = -1, events_fd = -1, edges_fd = -1;
static int inotify_fd = -1, slave_fd = -1;
static bool free_running, asleep;
static bool held, halted; /* in reset; asleep until a reset */
static avr_flashaddr_t reset_pc;
static uint8_t reset_cause;
static uint32_t marker;
static bool told_idle;          /* since the marker moved */
static uint64_t earlier_cycles; /* before the last reset: simavr begins at 0 again */
static uint64_t slept_cycles, late_ns;
static uint64_t epoch_ns, epoch_cycle; /* where emulated time and the host's were equal */
static uint32_t pages_written, dies_at_page, flipped_address = FLASH_BYTES;
static bool ignores_writes;
static int (*write_flash)(avr_io_t *, uint32_t, void *);

static void die(const char *why) {
    fprintf(stderr, "simavr-runner: %s\n", why);
    exit(1);
}

static uint64_t cycles(void) {
    return earlier_cycles + avr->cycle;
}

static void record(const char *event, unsigned value) {
    dprintf(events_fd, "%llu %s %u %llu\n", (unsigned long long)cycles(), event, value,
            (unsigned long long)slept_cycles);
}

/* ---- time ---- */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static uint64_t due_ns(uint64_t cycle) {
    return epoch_ns + (cycle - epoch_cycle) * NS_PER_CYCLE_X2 / 2;
}

static void set_epoch(void) {
    epoch_ns = now_ns();
    epoch_cycle = cycles();
}

/* A bootloader listens for a limited time: the host must not be outrun there. */
static bool paced(void) {
    return !free_running || avr->pc >= BOOT_SECTION;
}

/* Told twice: in the chip's time, and in the host's for what listens to a board in real time. That
 * is when the edge is due, up to a slice from now, so that jitter of this process is not in it. */
static void move_marker(uint32_t level) {
    marker = level;
    told_idle = false;
    record("marker", level);
    if (edges_fd >= 0)
        dprintf(edges_fd, "%llu %u\n", (unsigned long long)due_ns(cycles()), level);
}

/* A chip that sleeps draws less, whatever its marker says. */
static void tell_idle(void) {
    if (edges_fd >= 0 && marker && !told_idle)
        dprintf(edges_fd, "%llu 1 idle\n", (unsigned long long)due_ns(cycles()));
    told_idle = true;
}

static void write_line(void) {
    struct line *line = &usart.to_host;
    while (line_used(line)) {
        uint32_t at = line->out % LINE_BYTES, whole = LINE_BYTES - at;
        ssize_t written =
            write(pty_fd, line->bytes + at, line_used(line) < whole ? line_used(line) : whole);
        if (written <= 0)
            return;
        line->out += (uint32_t)written;
    }
}

/* Waits for the host until `until_ns`; returns early when it has something. */
static void wait_for_host(uint64_t until_ns) {
    uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
    struct timespec timeout = {(time_t)(left / 1000000000U), (long)(left % 1000000000U)};
    write_line();
    short interest = (line_used(&usart.to_chip) <= LINE_BYTES / 2 ? POLLIN : 0) |
                     (line_used(&usart.to_host) ? POLLOUT : 0);
    struct pollfd fds[] = {
        {pty_fd, interest, 0},
        {control_fd, POLLIN, 0},
        {inotify_fd, POLLIN, 0},
    };
    ppoll(fds, 3, &timeout, NULL);
}

/* simavr calls this for a chip that sleeps, and then adds `cycles_until_timer` to its clock. Time
 * passes as on the host, and only until the host has something; free-running, time in which bytes
 * are on the line is skipped instead. */
static void on_sleep(avr_t *a, avr_cycle_count_t cycles_until_timer) {
    (void)a;
    tell_idle();
    /* Without any timer simavr says 1000. */
    avr_cycle_count_t slept = avr->cycle_timers.timer ? cycles_until_timer : NAP;
    bool line_busy = usart.receiving || usart.send_busy;
    if (paced() ? due_ns(cycles() + slept) > now_ns() + SLICE_NS : !line_busy) {
        if (!paced())
            set_epoch();
        if (slept > NAP)
            slept = NAP;
        wait_for_host(due_ns(cycles() + slept));
        uint64_t now = now_ns(), begun = due_ns(cycles());
        uint64_t passed = now > begun ? (now - begun) * 2 / NS_PER_CYCLE_X2 : 0;
        if (passed < slept)
            slept = passed;
        asleep = true;
    }
    slept_cycles += slept + 1;
    avr->cycle -= cycles_until_timer - slept; /* may wrap; the addition that follows unwraps it */
}

static void keep_pace(void) {
    if (!paced())
        return;
    uint64_t due = due_ns(cycles()), now = now_ns();
    if (now > due + LATE_NS) {
        late_ns += now - due;
        set_epoch();
    } else if (now < due) {
        if (due > now + 2 * SLICE_NS) { /* a host that writes all the time must not hasten us */
            uint64_t left = due - now - SLICE_NS;
            struct timespec rest = {(time_t)(left / 1000000000U), (long)(left % 1000000000U)};
            nanosleep(&rest, NULL);
        }
        wait_for_host(due);
    }
}

/* ---- chip ---- */

/* Also of the resets that the watchdog makes within avr_run(). */
static void on_reset(avr_io_t *io) {
    (void)io;
    if (marker)
        move_marker(0);
    record("reset", reset_cause);
    reset_cause = WATCHDOG;
    earlier_cycles = cycles();
    avr->cycle = 0;
    if (free_running) /* the bootloader is paced from here */
        set_epoch();
}

static void reset_chip(uint8_t cause) {
    reset_cause = cause;
    avr->reset_pc = reset_pc;
    avr_reset(avr);
    avr->data[MCUSR] = cause;
    held = halted = false;
}

static void on_marker(avr_irq_t *irq, uint32_t level, void *param) {
    (void)irq, (void)param;
    if (level != marker)
        move_marker(level);
}

static int on_spm(avr_io_t *io, uint32_t request, void *param) {
    if (request != AVR_IOCTL_FLASH_SPM)
        return write_flash(io, request, param);
    const avr_flash_t *flash = (const avr_flash_t *)io;
    bool erase = avr_regbit_get(avr, flash->pgers), write = avr_regbit_get(avr, flash->pgwrt);
    if (write && ++pages_written == dies_at_page)
        die("fault: dies while it is written");
    if ((erase || write) && ignores_writes) {
        avr_regbit_clear(avr, flash->selfprgen);
        return 0;
    }
    int result = write_flash(io, request, param);
    if (erase || write)
        avr->cycle += PAGE_CYCLES; /* the bootloader busy-waits, or the core stands still */
    uint32_t page = (uint32_t)(avr->data[R_ZL] | avr->data[R_ZH] << 8) / flash->spm_pagesize;
    if (write && page == flipped_address / flash->spm_pagesize)
        avr->flash[flipped_address] ^= 1;
    return result;
}

static void make_chip(void) {
    avr = avr_make_mcu_by_name("atmega328p");
    if (!avr || avr_init(avr))
        die("this libsimavr has no atmega328p");
    avr->frequency = CLOCK_HZ;
    avr->log = LOG_NONE;
    avr->sleep = on_sleep;
    avr->run_cycle_limit = SLICE;
    avr->codeend = avr->flashend;
    static avr_io_t watch = {.kind = "watch", .reset = on_reset};
    for (avr_io_t *io = avr->io_port; io; io = io->next)
        if (!strcmp(io->kind, "flash")) {
            write_flash = io->ioctl;
            io->ioctl = on_spm;
        }
    usart_attach(&usart, avr);
    avr_register_io(avr, &watch);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('B'), MARKER_PIN), on_marker,
                            NULL);
}

/* ---- host ---- */

static void read_line(void) {
    struct termios2 terminal; /* a PTY's master sees what the host has set */
    uint8_t bytes[LINE_BYTES / 2];
    ssize_t length = 0;
    if (line_used(&usart.to_chip) <= LINE_BYTES / 2)
        length = read(pty_fd, bytes, sizeof bytes);
    if (length > 0 && !ioctl(pty_fd, TCGETS2, &terminal) && terminal.c_ospeed)
        usart.host_bit = (double)CLOCK_HZ / terminal.c_ospeed;
    for (ssize_t i = 0; i < length; i++)
        usart.to_chip.bytes[usart.to_chip.in++ % LINE_BYTES] = bytes[i];
    usart_kick(&usart);
}

static void reply(const void *data, size_t bytes) {
    if (send(control_fd, data, bytes, MSG_NOSIGNAL) < 0)
        exit(0);
}

static void reply_status(void) {
    char text[256];
    int length =
        snprintf(text, sizeof text,
                 "cycles=%llu slept_cycles=%llu overruns=%llu lost_to_host=%llu late_us=%llu",
                 (unsigned long long)cycles(), (unsigned long long)slept_cycles,
                 (unsigned long long)usart.overruns, (unsigned long long)usart.lost_to_host,
                 (unsigned long long)late_ns / 1000);
    reply(text, (size_t)length);
}

/* One request a datagram: a letter, and for P the vector's address and the whole flash. */
static void serve_control(void) {
    static uint8_t request[1 + 2 + FLASH_BYTES + 1];
    ssize_t length = recv(control_fd, request, sizeof request, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0)
        exit(0); /* the board is stopped */
    switch (request[0]) {
    case 'R':
        reset_chip(EXTERNAL);
        reply("R", 1);
        break;
    case 'P':
        if (length != 1 + 2 + FLASH_BYTES)
            die("a flash image of another size");
        reset_pc = (avr_flashaddr_t)(request[1] | request[2] << 8);
        memcpy(avr->flash, request + 3, FLASH_BYTES);
        held = true;
        reply("P", 1);
        break;
    case 'G':
        reset_chip(POWER_ON);
        reply("G", 1);
        break;
    case 'F':
        reply(avr->flash, FLASH_BYTES);
        break;
    case 'V':
        reply(CONFIG_SIMAVR_VERSION, strlen(CONFIG_SIMAVR_VERSION));
        break;
    case 'S':
        reply_status();
        break;
    default:
        die("an unknown request");
    }
}

/* Opening the port raises DTR, which resets an Uno through a capacitor; a port that is closed hears
 * nothing and forgets what was not read. */
static void serve_port(void) {
    static uint32_t users;
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t length = inotify_fd < 0 ? 0 : read(inotify_fd, events, sizeof events);
    for (ssize_t at = 0; at < length; at += (ssize_t)sizeof(struct inotify_event)) {
        if (((struct inotify_event *)(events + at))->mask & IN_OPEN) { /* of a file: no name */
            users++;
            if (!held)
                reset_chip(EXTERNAL);
        } else if (users && !--users) {
            usart.to_host.out = usart.to_host.in;
            ioctl(slave_fd, TCFLSH, TCIFLUSH);
        }
        usart.host_listens = users > 0;
    }
}

static void serve_host(void) {
    write_line();
    serve_port();
    serve_control();
    read_line();
    keep_pace();
}

static void run(void) {
    uint64_t next = 0;
    for (;;) {
        if (held || halted) {
            wait_for_host(now_ns() + 1000000000U);
            set_epoch();
        } else {
            int state = avr_run(avr);
            if (state == cpu_Crashed)
                die("the program has run into the weeds: an invalid instruction, or a jump "
                    "outside of flash or memory");
            halted = state == cpu_Done; /* asleep with interrupts off: only reset helps */
        }
        if (held || halted || asleep || cycles() >= next) {
            asleep = false;
            next = cycles() + SLICE;
            serve_host();
        }
    }
}

static void watch_port(const char *path) {
    slave_fd = path ? open(path, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (slave_fd < 0 || inotify_fd < 0 ||
        inotify_add_watch(inotify_fd, path, IN_OPEN | IN_CLOSE) < 0)
        die("cannot watch the PTY; are there too many inotify instances?");
    usart.host_listens = false;
}

static uint32_t number(const char *text) {
    if (!text)
        die("an option without its number");
    return (uint32_t)strtoul(text, NULL, 0);
}

int main(int argc, char **argv) {
    usart.host_listens = true;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--free"))
            free_running = true;
        else if (!strcmp(argv[i], "--ignores-writes"))
            ignores_writes = true;
        else if (!strcmp(argv[i], "--pty"))
            pty_fd = (int)number(argv[++i]);
        else if (!strcmp(argv[i], "--control"))
            control_fd = (int)number(argv[++i]);
        else if (!strcmp(argv[i], "--events"))
            events_fd = (int)number(argv[++i]);
        else if (!strcmp(argv[i], "--edges"))
            edges_fd = (int)number(argv[++i]);
        else if (!strcmp(argv[i], "--resets-on-open"))
            watch_port(argv[++i]);
        else if (!strcmp(argv[i], "--dies-at-page"))
            dies_at_page = number(argv[++i]);
        else if (!strcmp(argv[i], "--flips-bit-of"))
            flipped_address = number(argv[++i]) % FLASH_BYTES;
        else
            die("an unknown option");
    }
    if (pty_fd < 0 || control_fd < 0 || events_fd < 0)
        die("needs --pty, --control and --events");
    usart.host_bit = CLOCK_HZ / 115200.0;
    make_chip();
    held = true; /* until it is programmed */
    set_epoch();
    run();
}
