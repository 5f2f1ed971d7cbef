"""What a run tells while it goes on: the controller calls ``Watch`` with a ``Progress`` about twice a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from trident.bench.result import Point

Stage = Literal["preparing", "warmup", "measuring", "draining", "counting", "finished"]


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """Of the requests that ended since the last call, before exact counting; None where none ended."""

    ttft_p50_ms: float | None = None
    ttft_p99_ms: float | None = None
    tpot_p50_ms: float | None = None
    tpot_p99_ms: float | None = None
    e2e_p50_ms: float | None = None
    e2e_p99_ms: float | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One moment. ``planned_s`` and ``planned_requests`` are None where no stop rule says so. ``output_events_per_s``
    are token events (of a server that joins tokens fewer than its tokens). ``finished`` are the points that are
    done."""

    stage: Stage
    point: int
    points: int | None
    load: str
    elapsed_s: float
    planned_s: float | None = None
    planned_requests: int | None = None
    sent: int = 0
    ok: int = 0
    errors: int = 0
    in_flight: int = 0
    requests_per_s: float = 0.0
    output_events_per_s: float = 0.0
    recent: Recent = Recent()
    client_lag_p99_ms: float = 0.0
    client_cpu_share: float = 0.0
    last_error: str | None = None
    finished: list[Point] = []


Watch = Callable[[Progress], None]


def unwatched(progress: Progress) -> None:
    """For runs that nobody looks at."""
