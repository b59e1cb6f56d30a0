#!/bin/sh
# Installs the Debian/Ubuntu packages that are missing: as root, else with sudo, else says the line.
set -eu

packages="gcc libc6-dev make python3.11-venv gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
# What tests, the wheel and the virtual bench want besides: every port's compiler, every flasher, a
# browser that looks at reports.
dev="clang clang-format libclang-rt-dev g++ gdb-multiarch gcc-avr avr-libc libsimavr-dev libelf-dev
avrdude arduino-core-avr stm32flash openocd verilator gcc-riscv64-unknown-elf
picolibc-riscv64-unknown-elf chromium"
[ "${1:-}" = "--dev" ] && packages="$packages $dev"

have() {
    case $1 in
    # Any compiler, make or Python that works will do, wherever it came from.
    gcc | g++ | make | clang | clang-format | gdb-multiarch | avrdude | stm32flash | openocd | verilator)
        command -v "$1" >/dev/null ;;
    chromium) (command -v chromium || command -v chromium-browser || command -v google-chrome) >/dev/null ;;
    gcc-avr) command -v avr-gcc >/dev/null ;;
    gcc-riscv64-unknown-elf) command -v riscv64-unknown-elf-gcc >/dev/null ;;
    avr-libc | libsimavr-dev | libelf-dev | arduino-core-avr | picolibc-riscv64-unknown-elf)
        dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' ;;
    gcc-arm-none-eabi) command -v arm-none-eabi-gcc >/dev/null ;;
    qemu-system-arm) command -v qemu-system-arm >/dev/null ;;
    python3.11-venv) "${PYTHON:-python3.11}" -c "import ensurepip" 2>/dev/null ;;
    # A library that gcc does not find is answered with its bare name.
    libnewlib-arm-none-eabi) arm-none-eabi-gcc -print-file-name=libc_nano.a 2>/dev/null | grep -q / ;;
    libc6-dev) gcc -print-file-name=libc.a 2>/dev/null | grep -q / ;;
    libclang-rt-dev) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 ;;
    esac
}

missing=""
for package in $packages; do
    have "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

line="apt-get update && apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null; then
    echo "missing:$missing; this system has no apt-get, install them with its own package manager" >&2
    exit 3
fi
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo="sudo"
else
    echo "missing:$missing; may not install here, run as root: $line" >&2
    exit 3
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
if ! { $sudo apt-get update -qq && $sudo apt-get install -y --no-install-recommends $missing; }; then
    echo "could not install:$missing; run as root: $line" >&2
    exit 3
fi
