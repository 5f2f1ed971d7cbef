"""Lines over an axis, with marks and intervals: latency, throughput or goodput against load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trident.bench.report import numbers, scale
from trident.bench.report.frame import Frame, Key, Plot, Table


@dataclass(frozen=True)
class Mark:
    """One measured point: a value, or None where there is none, and its interval where it has one."""

    x: float
    y: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A named series in a colour of the theme."""

    name: str
    style: str
    marks: tuple[Mark, ...]
    is_dashed: bool = False


@dataclass(frozen=True)
class Limit:
    """A level that must not be passed, as a service level objective."""

    name: str
    y: float


LOG_MIN_RATIO = 30
"""Latencies that span more than this lose their lower part on a linear axis."""


def lines(
    key: str, title: str, lines: Sequence[Line], x_label: str, y_label: str, *, limits: Sequence[Limit] = (),
    note: str = "", from_zero: bool = False,
) -> Plot:  # fmt: skip
    """The y axis is linear from zero, unless the values span more than ``LOG_MIN_RATIO`` and ``from_zero`` is not
    asked for."""
    values = [value for line in lines for mark in line.marks for value in (mark.y, mark.low, mark.high)]
    known = [value for value in values if value is not None and math.isfinite(value)]
    known += [limit.y for limit in limits]
    keys = [Key(line.name, line.style, line.is_dashed) for line in lines]
    frame = Frame(key, title, _description(lines, x_label, y_label), keys)
    x = scale.loads([mark.x for line in lines for mark in line.marks], frame.left, frame.right)
    positive = [value for value in known if value > 0]
    is_log = not from_zero and len(positive) == len(known) > 0 and max(known) > LOG_MIN_RATIO * min(known)
    y = (scale.logarithmic if is_log else scale.linear)(known, frame.bottom, frame.top)
    frame.axes(x, y, x_label, y_label + (", logarithmic" if is_log else ""))
    for limit in limits:
        frame.line("limit", frame.left, y(limit.y), frame.right, y(limit.y))
        frame.text(limit.name, frame.left + 4, y(limit.y) - 4)
    for line in lines:
        _draw(frame, line, x, y)
    if not known:
        frame.nothing("no values")
    return Plot(key, title, frame.root, _table(lines, x_label), note)


def _draw(frame: Frame, line: Line, x: scale.Scale, y: scale.Scale) -> None:
    """A mark without a value breaks the line."""
    run: list[tuple[float, float]] = []
    for mark in line.marks:
        if mark.y is None:
            frame.path(run, line.style, is_dashed=line.is_dashed)
            run = []
        else:
            run.append((x(mark.x), y(mark.y)))
    frame.path(run, line.style, is_dashed=line.is_dashed)
    for mark in line.marks:
        if mark.y is None:
            continue
        if mark.low is not None and mark.high is not None:
            frame.line(f"whisker {line.style}", x(mark.x), y(mark.low), x(mark.x), y(mark.high))
        frame.dot(x(mark.x), y(mark.y), line.style, f"{line.name} at {numbers.figure(mark.x)}: {_text(mark)}")


def _text(mark: Mark) -> str:
    if mark.low is None or mark.high is None:
        return numbers.figure(mark.y)
    return f"{numbers.figure(mark.y)} ({numbers.figure(mark.low)} to {numbers.figure(mark.high)})"


def _description(lines: Sequence[Line], x_label: str, y_label: str) -> str:
    names = ", ".join(line.name for line in lines)
    count = max((len(line.marks) for line in lines), default=0)
    return f"{y_label} of {names} over {x_label}, {count} points. The figures follow as a table."


def _table(lines: Sequence[Line], x_label: str) -> Table:
    """A row for each x, a column for each line."""
    positions = sorted({mark.x for line in lines for mark in line.marks})
    cells = [{mark.x: _text(mark) for mark in line.marks} for line in lines]
    rows = tuple((numbers.figure(at), *(column.get(at, numbers.NOT_KNOWN) for column in cells)) for at in positions)
    return Table((x_label, *(line.name for line in lines)), rows)
