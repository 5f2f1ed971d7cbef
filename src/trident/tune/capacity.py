"""The inner loop: at which load level a running server does best. It knows scores alone, so that it can be tried
without a server.

Where nothing is known: up by doubling while the score grows, twice as fast while it grows nearly as the load does, or
down by halving where the first level was too high already; then once between the best level and each of its neighbours.
Where the first level is another configuration's best: from there in steps of a square root of two, and no farther than
it gets better, which mostly takes three levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST_GAIN = 0.02
"""A level that brings less than this share is no reason to go on: it only makes requests wait."""
WIDE = 1.99
"""Neighbours so far apart, as a ratio, have room for another level between them."""
NEAR_STEP, STEP, LEAP = math.sqrt(2), 2.0, 4.0
FREE_GROWTH = 0.75
"""Exponent by which the score has to grow with the load for a leap: the server is far from full."""


def next_level(
    seen: Sequence[tuple[float, float]], first: float, most: float, *, whole: bool = True, is_near: bool = False
) -> float | None:
    """After these pairs of level and score; None when the best is found. ``whole``: levels are numbers of clients.
    ``is_near``: the best is probably close to ``first``."""
    if not seen:
        return min(first, most)
    scores = dict(seen)
    best = max(scores, key=lambda level: (scores[level], -level))
    top, bottom = max(scores), min(scores)
    step = NEAR_STEP if is_near else STEP
    if best == top < most and _grows(scores, top):
        return _whole(min(most, top * max(step, _leap(scores, top))), whole, above=top)
    if best == bottom > 1 and _falls_upwards(scores, bottom, first):
        # A level that serves nobody is far above one that does.
        return max(1.0, _whole(bottom / (step if scores[bottom] > 0 else STEP), whole, below=bottom))
    return _between(scores, best, whole) if scores[best] > 0 else None


def _grows(scores: dict[float, float], top: float) -> bool:
    below = [level for level in scores if level < top]
    before = scores[max(below)] if below else 0.0
    return scores[top] - before > LEAST_GAIN * abs(before)


def _falls_upwards(scores: dict[float, float], bottom: float, first: float) -> bool:
    above = [level for level in scores if level > bottom]
    if bottom >= first or not above or scores[bottom] <= 0:
        return True
    return scores[bottom] > (1 + LEAST_GAIN) * scores[min(above)]


def _leap(scores: dict[float, float], top: float) -> float:
    below = [level for level in scores if level < top and scores[level] > 0]
    if not below:
        return 1.0
    before = max(below)
    growth = math.log(scores[top] / scores[before]) / math.log(top / before)
    return LEAP if growth > FREE_GROWTH else 1.0


def _whole(level: float, whole: bool, *, above: float | None = None, below: float | None = None) -> float:
    if not whole:
        return level
    rounded = float(round(level))
    if above is not None and rounded <= above:
        return above + 1
    return below - 1 if below is not None and rounded >= below else rounded


def _between(scores: dict[float, float], best: float, whole: bool) -> float | None:
    """Above the best first: where an SLO is a cliff, that side is more often left out by doubling."""
    levels = sorted(scores)
    at = levels.index(best)
    for low, high in [(best, high) for high in levels[at + 1 : at + 2]] + [(low, best) for low in levels[:at][-1:]]:
        middle = (low * high) ** 0.5
        middle = float(round(middle)) if whole else middle
        if high / low >= WIDE and low < middle < high:
            return middle
    return None
