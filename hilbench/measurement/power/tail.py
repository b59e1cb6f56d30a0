"""Time constant of what lies between board and meter, from the steps at the windows' edges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tail:
    """First-order low pass between board and meter."""

    tau_s: float  # 0: none that is resolved
    u_tau_s: float  # standard uncertainty
    edges: int = 0  # that it was fitted to
    says: str = ""  # what a person should know
