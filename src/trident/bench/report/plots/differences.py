"""How much each figure changed, as a share of what it was, with its interval: a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trident.bench.report import numbers, scale
from trident.bench.report.frame import Frame, Key, Plot, Table

STYLES = {"better": "c2", "worse": "bad", "noise": "c5", "unknown": "c4"}
LABEL_WIDTH = 175
FARTHEST = 1.0
"""Intervals are cut here, at ±100 %: one that is wider says nothing and would squeeze the others."""


@dataclass(frozen=True)
class Change:
    """Shares of the old value; ``verdict`` is a key of ``STYLES``."""

    name: str
    share: float
    low: float | None
    high: float | None
    verdict: str


def differences(key: str, title: str, changes: Sequence[Change]) -> Plot:
    """The axis reaches as far as the intervals do. Its figures are the caller's to show: they have more columns."""
    used = [verdict for verdict in STYLES if any(change.verdict == verdict for change in changes)]
    description = f"Change of {len(changes)} figures in per cent, with intervals. The figures follow as a table."
    frame = Frame(key, title, description, [Key(name, STYLES[name]) for name in used], left=LABEL_WIDTH)
    ends = [end for one in changes for end in (one.share, one.low, one.high) if end is not None]
    x = scale.linear([100 * _cut(end) for end in ends], frame.left, frame.right)
    frame.axes(x, scale.Scale(0, 1, frame.bottom, frame.top, ()), "change, %", "B against A")
    for tick in x.ticks:
        frame.line("grid" if tick else "axis", x(tick), frame.top, x(tick), frame.bottom)
    step = (frame.bottom - frame.top) / max(1, len(changes))
    for index, change in enumerate(changes):
        y = frame.top + (index + 0.5) * step
        style = STYLES[change.verdict]
        frame.text(change.name, frame.left - 8, y + 4, "end", "strong")
        if change.low is not None and change.high is not None:
            frame.line(f"line {style}", x(100 * _cut(change.low)), y, x(100 * _cut(change.high)), y)
        frame.dot(
            x(100 * _cut(change.share)), y, style, f"{change.name}: {numbers.change(change.share)}, {change.verdict}"
        )
    return Plot(key, title, frame.root, Table((), ()))


def _cut(share: float) -> float:
    return max(-FARTHEST, min(FARTHEST, share))
