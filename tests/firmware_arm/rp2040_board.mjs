// The rp2040 image on the emulator rp2040js, started as the boot ROM would; stdin and stdout are its
// UART. Ends with stdin. On stderr: "marker <0|1> <ns>" per edge of GP2, and what the emulator
// complains of.
//
//   node rp2040_board.mjs <folder with node_modules/rp2040js> <flash contents>
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const CYCLE_NS = 8; // 125 MHz
const SLICE_NS = 2_000_000 * CYCLE_NS;
const MARKER_PIN = 2;
const STAGE2 = 0x41f00; // in SRAM: where the boot ROM copies the second stage, and where it jumps

const [folder, flash] = process.argv.slice(2);
const { RP2040, GPIOPinState } = createRequire(path.resolve(folder, 'x.js'))('rp2040js');
const complain = (who, what) => process.stderr.write(`${who}: ${what}\n`);

const mcu = new RP2040();
mcu.logger = { debug() {}, info() {}, warn: complain, error: complain };
const image = fs.readFileSync(flash);
mcu.flash.set(image, 0);
mcu.sram.set(image.subarray(0, 256), STAGE2);
mcu.core.SP = 0x20000000 + STAGE2;
mcu.core.PC = 0x20000000 + STAGE2;

const received = [];
let sent = [];
mcu.uart[0].onByte = (byte) => sent.push(byte);
mcu.gpio[MARKER_PIN].addListener((state) =>
    process.stderr.write(`marker ${state === GPIOPinState.High ? 1 : 0} ${mcu.clock.nanos}\n`));
process.stdin.on('data', (chunk) => received.push(...chunk));
process.stdin.on('end', () => process.exit(0));

function slice() {
    const { core, clock } = mcu;
    const end = clock.nanos + SLICE_NS;
    while (clock.nanos < end) {
        if (received.length > 0 && !mcu.uart[0].rxFIFO.full) mcu.uart[0].feedByte(received.shift());
        if (!core.waiting) {
            clock.tick(core.executeInstruction() * CYCLE_NS);
        } else if (clock.nanosToNextAlarm > 0) {
            clock.tick(Math.min(clock.nanosToNextAlarm, end - clock.nanos));
        } else {
            break;
        }
    }
    if (sent.length > 0) process.stdout.write(Buffer.from(sent));
    sent = [];
    const idle = core.waiting && received.length === 0;
    setTimeout(slice, idle ? 1 : 0);
}
slice();
