"""Values over the seconds of a run, with the steady window shaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trident.bench.report import numbers, scale
from trident.bench.report.frame import Frame, Key, Plot, Table

TABLE_ROWS = 30


@dataclass(frozen=True)
class Course:
    """A named series: (seconds, value) in order; None breaks the line."""

    name: str
    style: str
    values: tuple[tuple[float, float | None], ...]
    is_dashed: bool = False


def timeline(
    key: str, title: str, courses: Sequence[Course], y_label: str, window_s: tuple[float, float] | None, note: str = "",
) -> Plot:  # fmt: skip
    """``window_s`` is where figures are taken from."""
    description = f"{y_label} over time: {', '.join(course.name for course in courses)}. The figures follow as a table."
    keys = [Key(course.name, course.style, course.is_dashed) for course in courses]
    frame = Frame(key, title, description, keys if len(keys) > 1 else ())
    times = [at for course in courses for at, _ in course.values]
    known = [value for course in courses for _, value in course.values if value is not None]
    x = _seconds([*times, *(window_s or ())], frame)
    y = scale.linear(known, frame.bottom, frame.top)
    if window_s:
        frame.bar(x(window_s[0]), frame.top, x(window_s[1]), frame.bottom, "shade", "steady window")
    frame.axes(x, y, "seconds", y_label)
    for course in courses:
        _draw(frame, course, x, y)
    if not known:
        frame.nothing("no values")
    return Plot(key, title, frame.root, _table(courses), note)


def stacked(
    key: str, title: str, courses: Sequence[Course], y_label: str, bin_s: float, window_s: tuple[float, float] | None,
) -> Plot:  # fmt: skip
    """Bars of ``bin_s`` seconds, one course upon the other; all courses have the same times (a bin's start)."""
    description = f"{y_label} over time: {', '.join(course.name for course in courses)}. The figures follow as a table."
    frame = Frame(key, title, description, [Key(course.name, course.style, is_area=True) for course in courses])
    columns = list(zip(*(course.values for course in courses), strict=True))
    heights = [sum(value or 0 for _, value in column) for column in columns]
    x = _seconds([*(column[0][0] + bin_s for column in columns), *(window_s or ())], frame)
    y = scale.linear(heights, frame.bottom, frame.top)
    if window_s:
        frame.bar(x(window_s[0]), frame.top, x(window_s[1]), frame.bottom, "shade", "steady window")
    frame.axes(x, y, "seconds", y_label)
    for column in columns:
        base = 0.0
        for course, (at, value) in zip(courses, column, strict=True):
            if value:
                tooltip = f"{course.name} at {numbers.figure(at)} s: {numbers.figure(value)}"
                frame.bar(x(at), y(base), x(at + bin_s), y(base + value), f"fill-{course.style}", tooltip)
                base += value
    return Plot(key, title, frame.root, _table(courses))


def _seconds(times: Sequence[float], frame: Frame) -> scale.Scale:
    """From zero, or before it, to the last time; ticks on round seconds inside."""
    first, last = min([0.0, *times]), max(times, default=1.0)
    last = last if last > first else first + 1.0
    step = scale.nice_step((last - first) / 6)
    ticks = [index * step for index in range(math.ceil(first / step), int(last // step) + 1)]
    return scale.Scale(first, last, frame.left, frame.right, tuple(ticks))


def _draw(frame: Frame, course: Course, x: scale.Scale, y: scale.Scale) -> None:
    run: list[tuple[float, float]] = []
    for at, value in course.values:
        if value is None:
            frame.path(run, course.style, is_dashed=course.is_dashed)
            run = []
        else:
            run.append((x(at), y(value)))
    frame.path(run, course.style, is_dashed=course.is_dashed)


def _table(courses: Sequence[Course]) -> Table:
    """A row for each time, thinned to ``TABLE_ROWS``: the rest is in the folder's files."""
    times = sorted({at for course in courses for at, _ in course.values})
    shown = times[:: max(1, -(-len(times) // TABLE_ROWS))]
    cells = [dict(course.values) for course in courses]
    rows = tuple((numbers.figure(at), *(numbers.figure(column.get(at)) for column in cells)) for at in shown)
    return Table(("seconds", *(course.name for course in courses)), rows)
