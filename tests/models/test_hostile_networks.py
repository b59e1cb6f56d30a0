"""Mutated plans of random networks, under the sanitizers, on every kernel set."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builders import operator_models as models
from builders.host_runtime import SET_FLAGS, SOURCES, RuntimeFaultError, compile_c
from builders.random_networks import RandomNetwork
from hilbench.models.planner import kernel_sets, layout, plan_model
from hilbench.models.planner.sets import records
from hilbench.models.tflite_file import parse_model
from hilbench.records import Plan

pytestmark = pytest.mark.firmware

SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
ROUNDS = 12_000
MAX_NETWORKS = 400


def plans_of_every_kernel(name: str) -> list[Plan]:
    """Return plans that have every kernel of a set; fails where no network has one."""
    text = name if name == "portable" else f"portable {name}"
    hybrid = [
        models.fully_connected(1, "float32", hybrid=True),
        models.convolution(1, "float32", hybrid=True),
        models.convolution(1, "float32", depthwise=True, in_c=2, hybrid=True),
    ]
    missing = {record.name for record in kernel_sets()[name].records}
    found = []
    for seed in range(MAX_NETWORKS):
        dtype = "float32" if seed % 4 == 3 else "int8"
        data = hybrid.pop() if hybrid else RandomNetwork(seed, dtype).build(3)
        plan = plan_model(parse_model(data, Path("network")), text)
        kernels = {operator.kernel for operator in plan.operators}
        if kernels & missing or len(found) < 10:
            found.append(plan)
            missing -= kernels
        if not missing:
            return found
    pytest.fail(f"no network has {missing}: let builders/random_networks.py make one")


def test_mutants_are_refused_or_stay_in_their_memory(tmp_path):
    program = tmp_path / "plan_fuzz"
    sources = [*SOURCES, Path(__file__).parent / "plan_fuzz.c"]
    every_set = [flag for flags in SET_FLAGS.values() for flag in flags]
    compile_c(program, sources, [*SANITIZERS, *every_set])
    files = []
    for name in kernel_sets():
        for i, plan in enumerate(plans_of_every_kernel(name)):
            files.append(tmp_path / f"{name}{i}")
            files[-1].write_bytes(plan.data)
    done = subprocess.run(
        [program, "3", str(ROUNDS), *files],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ran = sum(int(n) for status, _, n in map(str.split, done.stdout.splitlines()) if status == "0")
    assert ran > ROUNDS // 4, "too few mutants ran"


def test_places_in_the_padding_fit_an_int32(runtimes):
    data = models.convolution(
        1, depthwise=True, size=(2, 2100), in_c=16, out_c=16, kernel=(2, 3), stride=(2, 2)
    )
    plan = plan_model(parse_model(data, Path("network")), "portable mve")
    record = records()["depthwise_s8_mve"]
    assert [operator.kernel for operator in plan.operators] == [record.name]
    at = layout.packer(layout.HEADER.fields).size
    known = layout.unpack(record.flat, plan.data, at)
    far = layout.pack(record.flat, known | {"pad_top": 0xFFFF, "dilation_h": 0xFFFF, "out_h": 1})
    runtimes["mve"].load(plan.data, plan.arena_bytes)
    hostile = plan.data[:at] + far + plan.data[at + len(far) :]
    with pytest.raises(RuntimeFaultError) as caught:
        runtimes["mve"].load(hostile, plan.arena_bytes)
    assert caught.value.reason == layout.FAULTS["shape"][0]


@pytest.mark.parametrize(("rows", "depth", "kernel"), [(1, 5, "fc_s8_dsp"), (2, 5, "fc_s8_dsp"),
                                                       (3, 5, "fc_s8"), (3, 8, "fc_s8_dsp")])  # fmt: skip
def test_four_taps_at_a_time_are_not_read_beyond_the_input(rows, depth, kernel):
    """Memory of tensors is a multiple of 16 bytes; 2 * 5 + 8 of 3 rows of 5 are more."""
    data = models.fully_connected(1, in_shape=(rows, depth))
    plan = plan_model(parse_model(data, Path("network")), "portable dsp")
    assert [operator.kernel for operator in plan.operators] == [kernel]


def test_exponents_of_a_softmax_are_never_positive(runtime):
    plan = plan_model(parse_model(models.softmax("float32"), Path("network")))
    flat = records()["softmax_f32"].flat
    at = layout.packer(layout.HEADER.fields).size
    for beta in (-1.0, float("nan")):
        record = layout.pack(flat, layout.unpack(flat, plan.data, at) | {"beta": beta})
        with pytest.raises(RuntimeFaultError) as caught:
            runtime.load(plan.data[:at] + record + plan.data[at + len(record) :], plan.arena_bytes)
        assert caught.value.reason == layout.FAULTS["parameter"][0]
