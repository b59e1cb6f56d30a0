/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A TCG plugin: counts instructions by class and sums their cycles by a static model; at each store
 * to a marker register it says how far it has come.
 *
 *   -plugin hilbench-tcg.so,marker=0x40028000[,marker=...][,core=cortex-m4]
 *
 * A line goes to QEMU's log (-d plugin), so that it stands behind the line of the trace event that
 * tells what was stored, which the API does not:
 *
 *   hilbench-tcg <address> <instructions> <modelled cycles or -> <alu> <mul> ... <other>
 */
#include "qemu_plugin_v1.h"
#include "thumb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKERS_MAX 4u
#define LINE_BYTES  512

int qemu_plugin_version = HB_PLUGIN_API_VERSION;

static uint64_t instructions, modelled_cycles, classes[HB_CLASSES];
static uint64_t markers[MARKERS_MAX];
static size_t markers_count;
static enum hb_core core = HB_CORES; /* no model */

static void say_where(uint64_t address) {
    char line[LINE_BYTES], cycles[24] = "-";
    if (core != HB_CORES) {
        snprintf(cycles, sizeof cycles, "%" PRIu64, modelled_cycles);
    }
    int length = snprintf(line, sizeof line, "hilbench-tcg 0x%" PRIx64 " %" PRIu64 " %s", address,
                          instructions, cycles);
    for (size_t i = 0; i < HB_CLASSES; i++) {
        length += snprintf(line + length, sizeof line - (size_t)length, " %" PRIu64, classes[i]);
    }
    snprintf(line + length, sizeof line - (size_t)length, "\n");
    qemu_plugin_outs(line);
}

static void on_store(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *user) {
    (void)vcpu, (void)info, (void)user;
    for (size_t i = 0; i < markers_count; i++) {
        if (address == markers[i]) {
            say_where(address);
        }
    }
}

static void add(struct qemu_plugin_insn *insn, uint64_t *counter, uint64_t amount) {
    qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64, counter, amount);
}

/* Also called for an instruction that QEMU begins anew as the last of its block because it does
 * I/O; QEMU then leaves out the counters, which have counted it already, and calls on_store. */
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        const uint8_t *bytes = qemu_plugin_insn_data(insn);
        uint16_t first = (uint16_t)(bytes[0] | bytes[1] << 8), second = 0;
        if (qemu_plugin_insn_size(insn) == 4) {
            second = (uint16_t)(bytes[2] | bytes[3] << 8);
        }
        enum hb_class class = hb_thumb_class(first, second);
        add(insn, &instructions, 1);
        add(insn, &classes[class], 1);
        if (core != HB_CORES) {
            add(insn, &modelled_cycles, hb_thumb_cycles(core, first, second));
        }
        if (class == HB_STORE) {
            qemu_plugin_register_vcpu_mem_cb(insn, on_store, QEMU_PLUGIN_CB_NO_REGS,
                                             QEMU_PLUGIN_MEM_W, NULL);
        }
    }
}

static bool take_core(const char *name) {
    static const char *const names[HB_CORES] = {"cortex-m0", "cortex-m3", "cortex-m4"};
    for (size_t i = 0; i < HB_CORES; i++) {
        if (strcmp(name, names[i]) == 0) {
            core = (enum hb_core)i;
            return true;
        }
    }
    return false;
}

static bool take(const char *argument) {
    if (strncmp(argument, "core=", 5) == 0) {
        return take_core(argument + 5);
    }
    if (strncmp(argument, "marker=", 7) == 0 && markers_count < MARKERS_MAX) {
        char *end;
        markers[markers_count++] = strtoull(argument + 7, &end, 0);
        return *end == '\0';
    }
    return false;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv) {
    if (strcmp(info->target_name, "arm") != 0 || info->system.smp_vcpus != 1) {
        fprintf(stderr, "qemu-system-arm: hilbench-tcg counts one Arm core, not %d of %s\n",
                info->system.smp_vcpus, info->target_name);
        return 1;
    }
    for (int i = 0; i < argc; i++) {
        if (!take(argv[i])) {
            fprintf(stderr, "qemu-system-arm: hilbench-tcg does not understand %s\n", argv[i]);
            return 1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
