// The board around a verilated VexRiscv: memory, UART, cycle counter, marker pin. README.md has the
// memory map, the control protocol and the format of the events.
//
//     hilbench-soc --line FD --control FD --events FD
#include "Vtop.h"
#include "Vtop___024root.h"
#include "registers.h" // made by the build: HB_REGISTERS(X), X(member of Vtop___024root)
#include "verilated.h"

#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr uint32_t kFlashBytes = 512 * 1024;
constexpr uint32_t kRamBase = 0x40000000;
constexpr uint32_t kRamBytes = 256 * 1024;
constexpr uint32_t kIoBase = 0xF0000000;
constexpr unsigned kWaitStates = 1;      // of flash and RAM, before the first word of a burst
constexpr unsigned kResetCycles = 10;    // the core's reset input is held that long
constexpr unsigned kFifoBytes = 8192;    // of the UART's receiver
constexpr unsigned kBatchCycles = 16384; // between looks at line and control: about 10 ms
constexpr size_t kUnsentBytes = 4096;
constexpr uint32_t kWaitProbed = 1u << 31;
constexpr unsigned kBurst = 2; // Wishbone CTI: another word follows

enum Register : uint32_t {
    kUartData = 0x00,
    kUartWait = 0x04,
    kUartFlush = 0x08,
    kCounter = 0x0C,
    kMarker = 0x10,
    kSleep = 0x14,
    kReset = 0x18,
    kHalt = 0x1C,
};

[[noreturn]] __attribute__((format(printf, 1, 2))) void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::fputs("hilbench-soc: ", stderr);
    std::vfprintf(stderr, format, arguments);
    std::fputc('\n', stderr);
    va_end(arguments);
    std::exit(2);
}

// One pulse of the marker pin as the events file has it: five little-endian 64-bit words.
struct Window {
    uint64_t begin_cycle;
    uint64_t cycles;         // by the counter
    uint64_t clocked_cycles; // less those that the core slept
    uint64_t samples;
    uint64_t sampled_toggles;
};

#define HB_COUNT(member) +1
constexpr size_t kRegisters = 0 HB_REGISTERS(HB_COUNT);
#undef HB_COUNT

// Bits that change at a clock edge, summed over the core's registers, on a pseudo-random one of 16
// edges on average: a fixed distance could fall in step with a loop of the firmware.
class ToggleMeter {
  public:
    void begin(uint64_t cycle) {
        window_ = {cycle, 0, 0, 0, 0};
        clocked_ = next_ = 0;
        random_ = 1;
        on_ = true;
    }

    bool end(uint64_t cycle, Window *window) {
        const bool was_on = on_;
        on_ = false;
        window_.cycles = cycle - window_.begin_cycle;
        window_.clocked_cycles = clocked_;
        *window = window_;
        return was_on;
    }

    void abandon() { on_ = false; }

    bool before_edge(const Vtop___024root &core) {
        if (!on_ || clocked_++ != next_) {
            return false;
        }
        read(core, before_);
        return true;
    }

    void after_edge(const Vtop___024root &core) {
        read(core, after_);
        for (size_t i = 0; i < kRegisters; i++) {
            window_.sampled_toggles +=
                static_cast<uint64_t>(__builtin_popcountll(before_[i] ^ after_[i]));
        }
        window_.samples++;
        random_ = random_ * 1664525u + 1013904223u;
        next_ += 1 + (random_ >> 16) % 31;
    }

  private:
    static void read(const Vtop___024root &core, uint64_t *out) {
#define HB_READ(member) *out++ = core.member;
        HB_REGISTERS(HB_READ)
#undef HB_READ
    }

    Window window_{};
    uint64_t clocked_ = 0, next_ = 0;
    uint32_t random_ = 1;
    bool on_ = false;
    uint64_t before_[kRegisters], after_[kRegisters];
};

class Board {
  public:
    Board(int line_fd, int control_fd, int events_fd)
        : line_fd_(line_fd), control_fd_(control_fd), events_fd_(events_fd), flash_(kFlashBytes),
          ram_(kRamBytes) {
        fcntl(line_fd_, F_SETFL, fcntl(line_fd_, F_GETFL) | O_NONBLOCK);
    }

    [[noreturn]] void run() {
        while (!restart_) { // held in reset until the host has written an image
            attend(0, -1);
        }
        for (;;) {
            if (restart_) {
                start_core();
            }
            for (unsigned i = 0; i < kBatchCycles && !restart_; i++) {
                step();
            }
            attend(POLLIN, 0);
        }
    }

  private:
    // ---- the core and its buses ----

    // A new model: caches, branch predictor and registers begin as after power-on, memory stays.
    void start_core() {
        restart_ = frozen_ = false;
        probed_ = false; // its caches are empty
        core_.reset();   // before the context that it refers to
        context_ = std::make_unique<VerilatedContext>();
        core_ = std::make_unique<Vtop>(context_.get(), "");
        meter_.abandon();
        cycle_ = 0;
        fetch_waited_ = data_waited_ = 0;
        core_->externalResetVector = 0;
        core_->reset = 1;
    }

    // What has arrived is lost, what arrives from now on is for the firmware that begins.
    void restart() {
        restart_ = true;
        frozen_ = false;
        received_.clear();
    }

    void step() {
        core_->clk = 0;
        core_->eval();
        const bool sampled = meter_.before_edge(*core_->rootp);
        core_->clk = 1;
        core_->eval();
        if (sampled) {
            meter_.after_edge(*core_->rootp);
        }
        if (++cycle_ == kResetCycles) {
            core_->reset = 0;
        }
        serve_fetch();
        serve_data();
    }

    void serve_fetch() {
        core_->iBusWishbone_ACK = 0;
        if (!core_->iBusWishbone_CYC || !core_->iBusWishbone_STB) {
            fetch_waited_ = 0;
        } else if (fetch_waited_ < kWaitStates) {
            fetch_waited_++;
        } else {
            // Fetched ahead, perhaps never executed: where nothing is, an illegal instruction is.
            const uint8_t *at = memory(core_->iBusWishbone_ADR << 2, 4);
            core_->iBusWishbone_DAT_MISO = at != nullptr ? word(at) : 0;
            core_->iBusWishbone_ACK = 1;
            fetch_waited_ = core_->iBusWishbone_CTI == kBurst ? kWaitStates : 0;
        }
    }

    void serve_data() {
        core_->dBusWishbone_ACK = 0;
        if (!core_->dBusWishbone_CYC || !core_->dBusWishbone_STB) {
            data_waited_ = 0;
        } else if (data_waited_ < kWaitStates) {
            data_waited_++;
        } else {
            const uint32_t address = core_->dBusWishbone_ADR << 2;
            if (core_->dBusWishbone_WE) {
                store(address, core_->dBusWishbone_DAT_MOSI, core_->dBusWishbone_SEL);
            } else {
                core_->dBusWishbone_DAT_MISO = load(address);
            }
            core_->dBusWishbone_ACK = 1;
            data_waited_ = core_->dBusWishbone_CTI == kBurst ? kWaitStates : 0;
        }
    }

    uint8_t *memory(uint32_t address, uint64_t bytes) {
        if (address + bytes <= kFlashBytes) {
            return &flash_[address];
        }
        if (address >= kRamBase && address - kRamBase + bytes <= kRamBytes) {
            return &ram_[address - kRamBase];
        }
        return nullptr;
    }

    static uint32_t word(const uint8_t *at) {
        uint32_t value;
        std::memcpy(&value, at, sizeof value);
        return value;
    }

    uint32_t load(uint32_t address) {
        if (const uint8_t *at = memory(address, 4)) {
            return word(at);
        }
        switch (address - kIoBase) {
        case kUartData:
            return take_byte();
        case kUartWait:
            return wait_for_packet();
        case kCounter:
            return static_cast<uint32_t>(cycle_);
        default:
            die("the firmware reads 0x%08" PRIx32 ", where nothing is", address);
        }
    }

    void store(uint32_t address, uint32_t value, unsigned lanes) {
        if (address >= kRamBase && address - kRamBase < kRamBytes) {
            uint8_t *at = &ram_[address - kRamBase];
            for (unsigned i = 0; i < 4; i++) {
                if (lanes >> i & 1) {
                    at[i] = static_cast<uint8_t>(value >> 8 * i);
                }
            }
            return;
        }
        switch (address - kIoBase) {
        case kUartData:
            unsent_.push_back(static_cast<char>(value));
            if (unsent_.size() >= kUnsentBytes) {
                send_unsent();
            }
            break;
        case kUartFlush:
            send_unsent();
            break;
        case kMarker:
            set_marker((value & 1) != 0);
            break;
        case kSleep:
            cycle_ += value; // the counter's clock runs, the core's does not
            break;
        case kReset:
            restart();
            break;
        case kHalt:
            send_unsent();
            die("the firmware has halted with code %" PRIu32, value);
        default:
            die("the firmware writes 0x%08" PRIx32 ", where no memory is that it may write",
                address);
        }
    }

    void set_marker(bool on) {
        Window window;
        if (meter_.end(cycle_, &window) &&
            write(events_fd_, &window, sizeof window) != ssize_t{sizeof window}) {
            die("cannot write the events: %s", std::strerror(errno));
        }
        if (on) {
            meter_.begin(cycle_);
        }
    }

    // ---- UART ----

    uint32_t take_byte() {
        if (received_.empty()) {
            return 0;
        }
        const auto byte = static_cast<uint8_t>(received_[0]);
        received_.erase(0, 1);
        return 0x100u | byte;
    }

    // The clock stands still until the firmware has something to do. Whole packets only, so that
    // what the firmware sees does not depend on how the host's bytes were cut.
    uint32_t wait_for_packet() {
        send_unsent();
        size_t end;
        bool stood_still = false;
        while ((end = received_.find('\0')) == std::string::npos && received_.size() < kFifoBytes) {
            if (restart_) {
                return 0;
            }
            freezes_ += !stood_still;
            stood_still = frozen_ = true;
            attend(POLLIN, -1);
        }
        frozen_ = false;
        const size_t bytes = end == std::string::npos ? received_.size() : end + 1;
        const uint32_t probed = probed_ ? kWaitProbed : 0;
        probed_ = false;
        return static_cast<uint32_t>(bytes) | probed;
    }

    void receive() {
        char bytes[kFifoBytes];
        const ssize_t count = read(line_fd_, bytes, sizeof bytes - received_.size());
        if (count > 0) {
            received_.append(bytes, static_cast<size_t>(count));
        } else if (count < 0 && errno != EAGAIN && errno != EINTR) {
            die("the line is gone: %s", std::strerror(errno));
        }
    }

    void send_unsent() {
        while (!unsent_.empty()) {
            const ssize_t count = write(line_fd_, unsent_.data(), unsent_.size());
            if (count > 0) {
                unsent_.erase(0, static_cast<size_t>(count));
            } else if (count < 0 && errno != EAGAIN && errno != EINTR) {
                die("the line is gone: %s", std::strerror(errno));
            } else if (restart_) {
                unsent_.clear();
            } else {
                attend(POLLOUT, -1);
            }
        }
    }

    // Looks at the host: takes received bytes, carries out commands.
    void attend(short line_events, int timeout_ms) {
        if (received_.size() >= kFifoBytes) {
            line_events = static_cast<short>(line_events & ~POLLIN);
        }
        pollfd ready[] = {{control_fd_, POLLIN, 0}, {line_fd_, line_events, 0}};
        if (poll(ready, line_events != 0 ? 2 : 1, timeout_ms) <= 0) {
            return;
        }
        if ((ready[1].revents & POLLIN) != 0) {
            receive();
        }
        if (ready[0].revents != 0) {
            command();
        }
    }

    // ---- control ----

    void from_host(void *out, size_t bytes) {
        if (bytes > 0 &&
            recv(control_fd_, out, bytes, MSG_WAITALL) != static_cast<ssize_t>(bytes)) {
            std::exit(0); // the host is gone
        }
    }

    void to_host(const void *data, size_t bytes) {
        if (send(control_fd_, data, bytes, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes)) {
            std::exit(0);
        }
    }

    void answer(const std::string &line) { to_host((line + "\n").data(), line.size() + 1); }

    void command() {
        std::string line;
        for (char byte = 0; from_host(&byte, 1), byte != '\n';) {
            line.push_back(byte);
        }
        uint32_t address, bytes;
        if (std::sscanf(line.c_str(), "write %" SCNu32 " %" SCNu32, &address, &bytes) == 2) {
            std::vector<uint8_t> data(bytes);
            from_host(data.data(), bytes);
            if (uint8_t *at = memory(address, bytes)) {
                std::memcpy(at, data.data(), bytes);
                probed_ = true;
                answer("ok");
            } else {
                answer("error no memory there");
            }
        } else if (std::sscanf(line.c_str(), "read %" SCNu32 " %" SCNu32, &address, &bytes) == 2) {
            if (const uint8_t *at = memory(address, bytes)) {
                answer("ok");
                to_host(at, bytes);
            } else {
                answer("error no memory there");
            }
        } else if (line == "reset") {
            restart();
            answer("ok");
        } else if (line == "status") {
            answer("ok " + std::to_string(cycle_) + " " + std::to_string(freezes_) + " " +
                   std::to_string(frozen_) + " " + std::to_string(kRegisters));
        } else {
            answer("error unknown command");
        }
    }

    const int line_fd_, control_fd_, events_fd_;
    std::vector<uint8_t> flash_, ram_;
    std::string received_, unsent_;
    std::unique_ptr<VerilatedContext> context_;
    std::unique_ptr<Vtop> core_;
    ToggleMeter meter_;
    uint64_t cycle_ = 0;   // since reset, as the firmware reads it
    uint64_t freezes_ = 0; // how often the clock has stood still, since start
    unsigned fetch_waited_ = 0, data_waited_ = 0;
    bool restart_ = false, frozen_ = false, probed_ = false;
};

int descriptor(int count, char **arguments, const char *name) {
    for (int i = 1; i + 1 < count; i += 2) {
        if (std::strcmp(arguments[i], name) == 0) {
            return std::atoi(arguments[i + 1]);
        }
    }
    die("usage: hilbench-soc --line FD --control FD --events FD");
}

} // namespace

double sc_time_stamp() {
    return 0; // older Verilators ask for it
}

int main(int count, char **arguments) {
    auto board = std::make_unique<Board>(descriptor(count, arguments, "--line"),
                                         descriptor(count, arguments, "--control"),
                                         descriptor(count, arguments, "--events"));
    board->run();
}
