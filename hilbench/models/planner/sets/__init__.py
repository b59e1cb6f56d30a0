"""Kernel sets: which records a firmware can run, and how operators become them.

A set is a module here and a folder ``device_firmware/runtimes/plan/kernels/<set>/``. The module has

- ``ORDER``: sets of a higher number are asked first,
- ``RECORDS``: the records of its kernels (kinds: portable 1..63, dsp 64..95,
  mve 96..127, fpu 128..159),
- ``LOWERINGS``: operator name to a function that returns a record, or None where the set has no
  kernel for these parameters. ``portable`` is asked last and never returns None.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from hilbench.models.planner.layout import Record
from hilbench.models.planner.lower import Context, Lowered

Lowering = Callable[[Context], Lowered | None]


@dataclass(frozen=True)
class KernelSet:
    """One kernel set."""

    name: str
    order: int
    records: tuple[Record, ...]
    lowerings: Mapping[str, Lowering]


@cache
def kernel_sets() -> dict[str, KernelSet]:
    """Return every set by name, in the order in which a planner asks them."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        m = importlib.import_module(f"{__name__}.{module.name}")
        found.append(KernelSet(module.name, m.ORDER, tuple(m.RECORDS), dict(m.LOWERINGS)))
    return {s.name: s for s in sorted(found, key=lambda s: (-s.order, s.name))}


@cache
def records() -> dict[str, Record]:
    """Return the records of all sets by name, in the order of their kinds."""
    every = [r for s in kernel_sets().values() for r in s.records]
    return {r.name: r for r in sorted(every, key=lambda r: r.kind)}


def sets_of(kernels: str) -> tuple[KernelSet, ...]:
    """Return the sets that a firmware names, as the planner asks them.

    Args:
        kernels: of HELLO: names of sets; after a colon, the kernels that are left of them.

    Raises:
        KeyError: an unknown set.
    """
    named = kernels.partition(":")[0].split()
    unknown = [name for name in named if name not in kernel_sets()]
    if unknown or not named:
        raise KeyError(kernels)
    return tuple(s for s in kernel_sets().values() if s.name in named)
