"""From values to pixels: scales and their ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LOG_MIN_RATIO = 8
"""Loads that span less than this read better on a linear axis."""
TAIL_RATIO = 8
SPAN_RATIO = 50
MOST_DECADES = 4


@dataclass(frozen=True)
class Scale:
    """Maps ``low``..``high`` to ``start``..``end`` (pixels; ``start`` may be the larger one, as y grows downwards)."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of ``value``; on a logarithmic scale what is not positive lies at its lower end."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether ``value`` is inside."""
        return self.low <= value <= self.high


def linear(values: Iterable[float], start: float, end: float, *, from_zero: bool = True, ticks: int = 5) -> Scale:
    """Round ends around ``values``, from zero where nothing is negative and ``from_zero`` asks for it."""
    low, high = _span(values)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high <= low:
        low, high = (0.0, 1.0) if low == 0 else (low - abs(low) / 2, low + abs(low) / 2)
    step = nice_step((high - low) / ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Scale(first * step, last * step, start, end, tuple(index * step for index in range(first, last + 1)))


def logarithmic(values: Iterable[float], start: float, end: float) -> Scale:
    """Ends on 1, 2 or 5 of a decade; ticks there, or on whole decades alone when there are more than three."""
    low, high = _span(value for value in values if value > 0)
    if low <= 0:
        low, high = 1.0, 10.0
    marks = _one_two_five(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    first = max(index for index, mark in enumerate(marks) if mark <= low * (1 + 1e-9))
    last = min(index for index, mark in enumerate(marks) if mark >= high * (1 - 1e-9))
    last = max(last, first + 1)
    ticks = marks[first : last + 1]
    if len(ticks) > 10:
        ticks = [mark for mark in ticks if math.isclose(math.log10(mark) % 1, 0, abs_tol=1e-9)]
    return Scale(marks[first], marks[last], start, end, tuple(ticks), is_log=True)


def spread(values: NDArray[np.float64], start: float, end: float) -> Scale:
    """An axis for a distribution: logarithmic when its tail is long (the largest beyond ``TAIL_RATIO`` medians) or it
    spans a lot. Then the few values near zero, as gaps between events of one read, lie at the lower end."""
    low, median, high = (float(value) for value in np.percentile(values, (0.5, 50, 100)))
    low = max(low, high / 10**MOST_DECADES)
    if high > 0 and (high > TAIL_RATIO * median or high > SPAN_RATIO * low):
        return logarithmic([low, high], start, end)
    return linear([float(values.min()), high], start, end, from_zero=float(values.min()) < 0.3 * high)


def loads(values: Iterable[float], start: float, end: float, *, gap: float = 34) -> Scale:
    """The axis of a sweep: a tick at each load that was measured, as many as stand ``gap`` pixels apart; logarithmic
    when the loads span a lot. The outermost loads keep a distance from the frame."""
    known = sorted(set(values)) or [1.0]
    low, high = known[0], known[-1]
    is_log = low > 0 and high / low >= LOG_MIN_RATIO
    margin = 0.05 * abs(end - start) * (1 if end > start else -1)
    if low == high:
        return Scale(low - 1, low + 1, start, end, (low,))
    inner = Scale(low, high, start + margin, end - margin, (), is_log)
    ticks: list[float] = []
    for value in known:
        if not ticks or abs(inner(value) - inner(ticks[-1])) >= gap:
            ticks.append(value)
    return Scale(low, high, start + margin, end - margin, tuple(ticks), is_log)


def nice_step(step: float) -> float:
    """The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is at least ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= step * (1 - 1e-9))


def _one_two_five(first: int, last: int) -> list[float]:
    return [nice * 10.0**power for power in range(first, last + 1) for nice in (1, 2, 5)]


def _span(values: Iterable[float]) -> tuple[float, float]:
    known = [value for value in values if math.isfinite(value)]
    return (min(known), max(known)) if known else (0.0, 0.0)
