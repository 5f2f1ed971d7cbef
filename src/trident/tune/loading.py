"""How the servers of a search are loaded."""

from __future__ import annotations

import msgspec

from trident.bench.plan import Api, Load, Workload

MOST_CLIENTS = 1024
RAMP_S = 3.0
"""Clients that begin together ask in step for many answers, all prompts at once: TTFT then is that of the whole wave.
So they begin one after the other, over a time that is longer than most answers."""


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """How servers are loaded: by the workload, for ``look_s`` at each level that is looked at and ``measure_s`` where
    it counts. ``load`` None: clients in a closed loop, as many as are best."""

    api: Api
    workload: Workload
    look_s: float
    measure_s: float
    load: Load | None = None
    workers: int = 1
    drain_s: float = 20.0
    most_level: float = MOST_CLIENTS


def closed_loop(clients: int, ramp_s: float = RAMP_S) -> Load:
    """So many clients; what the first ones ask while the last ones begin is warm-up."""
    return Load(kind="closed", concurrency=clients, warmup_requests=clients, ramp_s=ramp_s)
