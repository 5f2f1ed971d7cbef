"""What a tuning writes down: one ``Record`` for each measurement of a server. Plain data, kept in the journal."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Changes = dict[str, Any]
"""Name of a knob → its value. What is not in it is as the base configuration has it."""
Purpose = Literal["base", "preset", "search", "repeat", "simplify", "held-out", "gate"]
PLATEAU_SHARE = 0.02
"""Scores of short looks that differ by less are alike."""
LEAST_GOOD_SHARE = 0.9
"""Of the requests of a load level: what DistServe, from which goodput under SLOs comes, asks for too."""
Statistic = Literal["mean", "p50", "p95", "p99"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be measured next. ``level`` None: find the load level at which the objective is best (short looks,
    beginning at ``first_level``; ``is_near`` says that it is probably there); else measure at that level. ``is_fresh``
    wants a server that was just started. Of a "gate" the quality gate's prompts are asked and nothing is loaded."""

    purpose: Purpose
    changes: Changes
    level: float | None = None
    first_level: float = 8.0
    is_near: bool = False
    seed: int = 0
    is_fresh: bool = False


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One load level. ``score`` is the objective, where more is better (a latency is negative); ``samples`` are what it
    is the ``statistic`` of, in the order of time. ``broken`` names the SLOs that did not hold."""

    level: float
    score: float
    samples: list[float]
    statistic: Statistic = "mean"
    broken: list[str] = []
    figures: dict[str, float] = {}
    is_client_bound: bool = False

    @property
    def is_over_the_edge(self) -> bool:
        """More requests missed an SLO than a server may be run with: a little more load, or noise, and most do."""
        return self.figures.get("goodput_share", 1.0) < LEAST_GOOD_SHARE


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a step. ``failure`` is set when the server did not start or did not answer; then there are no
    ``levels``. ``start_s`` is 0 where the server was running already. ``answers`` are those of a "gate"."""

    step: Step
    levels: list[Measured] = []
    answers: list[str] = []
    failure: str | None = None
    start_s: float = 0.0
    took_s: float = 0.0

    @property
    def best(self) -> Measured | None:
        """The lowest of the levels that score as well as the highest score, nearly: the others only let more requests
        wait, and stand closer to where an SLO breaks. Levels beyond that edge count only where all are."""
        levels = [one for one in self.levels if one.score > 0 and not one.is_over_the_edge] or self.levels
        most = max((one.score for one in levels), default=0.0)
        as_good = [one for one in levels if one.score >= most - PLATEAU_SHARE * abs(most)]
        return min(as_good, key=lambda one: one.level, default=None)
