"""What each knob did, and which load levels no other one beats in both rate and latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from trident.tune import noise
from trident.tune.noise import Interval
from trident.tune.records import Measured
from trident.tune.search import Candidate
from trident.tune.space import Space

RATE, LATENCY = "output_token_throughput", "e2e_p95_ms"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one knob. ``alone`` is a configuration against another from which it differs in this knob alone: the
    base, else the best then; ``with_it`` and ``without`` are mean scores of the trials as shares of the base's."""

    knob: str
    value: Any
    trials: int
    with_it: float | None
    without: float | None
    alone: Interval | None = None


def of(candidates: Sequence[Candidate], space: Space) -> list[Effect]:
    """Of every value that was tried, in the order of the space."""
    base = candidates[0]
    size = abs(base.score or 0.0) or 1.0
    between = noise.starts([[run.score for run in one.runs] for one in candidates])
    found = []
    for name, values in space.knobs.items():
        without = [one.score / size for one in candidates if name not in one.changes and one.score is not None]
        for value in values:
            having = [one for one in candidates if name in one.changes and one.changes[name] == value]
            scores = [one.score / size for one in having if one.score is not None]
            if not having:
                continue
            alone = next((one for one in having if len(one.changes) == 1), None)
            found.append(
                Effect(
                    knob=name,
                    value=value,
                    trials=len(having),
                    with_it=float(np.mean(scores)) if scores else None,
                    without=float(np.mean(without)) if without else None,
                    alone=_alone(base, alone, between) or _beside(having, name),
                )
            )
    return found


def front(levels: Sequence[Measured]) -> list[Measured]:
    """Those with the most tokens per second for their E2E p95, the slowest last; looks too short for a p95 are out."""
    known = [one for one in levels if RATE in one.figures and LATENCY in one.figures]
    known.sort(key=lambda one: (one.figures[LATENCY], -one.figures[RATE]))
    kept: list[Measured] = []
    for one in known:
        if not kept or one.figures[RATE] > kept[-1].figures[RATE]:
            kept.append(one)
    return [msgspec.structs.replace(one, samples=[]) for one in kept]


def _beside(having: Sequence[Candidate], name: str) -> Interval | None:
    for one in having:
        if one.rival is not None and {**one.rival, name: one.changes[name]} == one.changes and one.rival != one.changes:
            return one.against_best
    return None


def _alone(base: Candidate, one: Candidate | None, between: noise.Starts) -> Interval | None:
    """By the runs of both, else by the looks of both."""
    if one is None or one.look is None or base.look is None:
        return None
    return noise.compare(base.runs, one.runs, between) if base.runs and one.runs else noise.compare(
        [base.look], [one.look], between
    )  # fmt: skip
