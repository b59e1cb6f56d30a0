/* The same core as a host process: the line is the master side of a PTY, the counter is
 * CLOCK_MONOTONIC in nanoseconds.
 *
 *     hilbench.elf --fd N [--pool-bytes B] [--marker-fd M]
 *
 * N is the inherited master. M is an inherited file, opened to append: the marker pin. The process
 * dies with the thread that started it (PR_SET_PDEATHSIG). */
#define _GNU_SOURCE
#include "hb_core.h"
#include "hb_port.h"
#include "hb_protocol.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_BYTES        (256u * 1024)
#define GUARD_BYTES        4096u
#define DEFAULT_POOL_BYTES (4u * 1024 * 1024)
#define MIN_POOL_BYTES     1024u
#define MAX_POOL_BYTES     (1024u * 1024 * 1024)
#define BUILD_ID_BYTES     20
#define NOBODY_LISTENS_US  2000 /* between looks at a PTY whose other side is closed */
#define USAGE              "usage: hilbench.elf --fd N [--pool-bytes B] [--marker-fd M]"

#if defined(__x86_64__)
#define CHIP "x86-64"
#elif defined(__aarch64__)
#define CHIP "aarch64"
#else
#error "name this machine in ports/posix/port.c"
#endif

static const struct hb_port_info port_info = {
    .name = HB_PORT_NAME,
    .chip = CHIP,
    .counter_hz = 1000000000u,
    .counter_bits = 32, /* wraps after 4.29 s */
    .clock_source = HB_CLOCK_DECLARED,
    .untested = false,
};

static int line_fd = -1, marker_fd = -1;
static char **arguments;
static uint8_t *pool, *stack;
static size_t pool_bytes = DEFAULT_POOL_BYTES;
static uint8_t build_id[BUILD_ID_BYTES];
static struct {
    uint8_t bytes[65536];
    size_t from, to;
} received;
static struct {
    uint8_t bytes[65536];
    size_t length;
} unsent;

static void die(const char *what) {
    fprintf(stderr, "hilbench.elf: %s\n", what);
    exit(2);
}

/* ---- identity ---- */

static int find_build_id(struct dl_phdr_info *info, size_t size, void *found) {
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_NOTE) {
            continue;
        }
        const char *at = (const char *)(info->dlpi_addr + header->p_vaddr);
        const char *end = at + header->p_memsz;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            const ElfW(Nhdr) *note = (const void *)at;
            const char *name = at + sizeof *note;
            const char *description = name + ((note->n_namesz + 3u) & ~3u);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz == BUILD_ID_BYTES &&
                note->n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
                memcpy(build_id, description, BUILD_ID_BYTES);
                *(bool *)found = true;
                return 1;
            }
            at = description + ((note->n_descsz + 3u) & ~3u);
        }
    }
    return 1; /* the first object is this program */
}

const struct hb_port_info *hb_port_info(void) {
    return &port_info;
}

const uint8_t *hb_port_build_id(void) {
    return build_id;
}

size_t hb_port_unique_id(char *out, size_t cap) {
    (void)out;
    (void)cap;
    return 0;
}

/* ---- line ---- */

/* A closed other side is not an error: whoever opens the PTY next finds the board alive. */
static bool line_ready(short events, int timeout_ms) {
    struct pollfd fd = {line_fd, events, 0};
    int ready = poll(&fd, 1, timeout_ms);
    if (ready > 0 && (fd.revents & events) == 0) {
        usleep(NOBODY_LISTENS_US);
    }
    return ready > 0 && (fd.revents & events) != 0;
}

static void send_unsent(void) {
    size_t sent = 0;
    while (sent < unsent.length) {
        ssize_t count = write(line_fd, unsent.bytes + sent, unsent.length - sent);
        if (count > 0) {
            sent += (size_t)count;
        } else if (count < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) {
            die(strerror(errno));
        } else {
            line_ready(POLLOUT, 1000);
        }
    }
    unsent.length = 0;
}

/* Buffered: a packet reaches this function in pieces of a few bytes. */
void hb_port_uart_write(const uint8_t *data, size_t length) {
    while (length > 0) {
        size_t room = sizeof unsent.bytes - unsent.length;
        size_t part = length < room ? length : room;
        memcpy(unsent.bytes + unsent.length, data, part);
        unsent.length += part;
        data += part;
        length -= part;
        if (unsent.length == sizeof unsent.bytes) {
            send_unsent();
        }
    }
}

void hb_port_uart_flush(void) {
    send_unsent();
}

size_t hb_port_uart_read(uint8_t *out, size_t cap) {
    if (received.from == received.to) {
        send_unsent();
        if (!line_ready(POLLIN, 0)) {
            return 0;
        }
        ssize_t count = read(line_fd, received.bytes, sizeof received.bytes);
        if (count < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) {
            die(strerror(errno));
        }
        received.from = 0;
        received.to = count > 0 ? (size_t)count : 0;
    }
    size_t left = received.to - received.from;
    size_t part = left < cap ? left : cap;
    memcpy(out, received.bytes + received.from, part);
    received.from += part;
    return part;
}

uint32_t hb_port_uart_overruns(void) {
    return 0; /* the kernel's flow control: a PTY loses nothing */
}

void hb_port_uart_wait(void) {
    send_unsent();
    line_ready(POLLIN, 1000);
}

/* ---- time, marker, reset ---- */

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t hb_port_counter(void) {
    return (uint32_t)now_ns();
}

void hb_port_quiet(bool on) {
    (void)on; /* a process has no interrupts of its own */
}

static bool marker_on;

static void tell_marker(const char *state) {
    char line[40];
    int length = snprintf(line, sizeof line, "%" PRIu64 " %s\n", now_ns(), state);
    if (write(marker_fd, line, (size_t)length) != length) {
        die("cannot append to --marker-fd");
    }
}

/* The pin moves when the clock is read; the write after that is in no tick count. */
void hb_port_marker(bool on) {
    if (marker_fd >= 0 && on != marker_on) {
        tell_marker(on ? "1" : "0");
    }
    marker_on = on;
}

void hb_port_idle(uint32_t duration_us) {
    if (marker_fd >= 0 && marker_on) {
        tell_marker("1 idle");
    }
    struct timespec left = {duration_us / 1000000u, (long)(duration_us % 1000000u) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

void hb_port_reset(void) {
    execv("/proc/self/exe", arguments);
    die("cannot start itself again: /proc is not mounted");
}

/* ---- memory ---- */

uint8_t *hb_port_pool(size_t *bytes) {
    *bytes = pool_bytes;
    return pool;
}

void hb_port_stack(uint8_t **low, uint8_t **high) {
    *low = stack;
    *high = stack + STACK_BYTES;
}

/* Populated at once: a page fault inside an inference would be in its ticks. */
static uint8_t *map(size_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                    -1, 0);
    if (at == MAP_FAILED) {
        die("no memory for pool and stack; ask for less with --pool-bytes");
    }
    return at;
}

void hb_port_init(void) {
    bool found = false;
    dl_iterate_phdr(find_build_id, &found);
    if (!found) {
        die("the image has no build id; link it with -Wl,--build-id=sha1");
    }
    /* Through the master this sets the line for both sides: no echo, no translation. */
    struct termios line;
    if (tcgetattr(line_fd, &line) != 0) {
        die("--fd is not an open PTY master");
    }
    cfmakeraw(&line);
    tcsetattr(line_fd, TCSANOW, &line);
    pool = map(pool_bytes);
}

static unsigned long number(const char *text, unsigned long low, unsigned long high,
                            const char *complaint) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value < low || value > high) {
        die(complaint);
    }
    return value;
}

static void read_arguments(int count, char **values) {
    for (int i = 1; i < count; i += 2) {
        const char *value = i + 1 < count ? values[i + 1] : "";
        if (strcmp(values[i], "--fd") == 0) {
            line_fd =
                (int)number(value, 0, 1u << 20, "--fd needs the number of an open PTY master");
        } else if (strcmp(values[i], "--pool-bytes") == 0) {
            pool_bytes = number(value, MIN_POOL_BYTES, MAX_POOL_BYTES,
                                "--pool-bytes needs a number from 1024 to 1073741824");
        } else if (strcmp(values[i], "--marker-fd") == 0) {
            marker_fd =
                (int)number(value, 0, 1u << 20, "--marker-fd needs the number of an open file");
        } else {
            die("unknown argument; " USAGE);
        }
    }
    if (line_fd < 0) {
        die(USAGE);
    }
}

int main(int count, char **values) {
    static ucontext_t back, context;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    arguments = values;
    read_arguments(count, values);
    /* The core gets a stack of its own, so that its depth can be measured by painting. */
    uint8_t *guarded = map(GUARD_BYTES + STACK_BYTES);
    mprotect(guarded, GUARD_BYTES, PROT_NONE);
    stack = guarded + GUARD_BYTES;
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&context, hb_core_run, 0);
    swapcontext(&back, &context);
    return 0;
}
