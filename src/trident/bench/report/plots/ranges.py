"""Percentiles of several metrics as rows of marks: what a single load level shows instead of lines over load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trident.bench.report import numbers, scale
from trident.bench.report.frame import Frame, Key, Plot, Table


@dataclass(frozen=True)
class Row:
    """A metric and its percentiles, by name; None where there were too few samples."""

    name: str
    values: Mapping[str, float | None]


def ranges(key: str, title: str, rows: Sequence[Row], styles: Mapping[str, str], x_label: str) -> Plot:
    """``styles`` gives each percentile its colour, in the legend's order. The axis is logarithmic."""
    known = [value for row in rows for value in row.values.values() if value is not None and value > 0]
    names = ", ".join(row.name for row in rows)
    description = f"{', '.join(styles)} of {names} in {x_label}. The figures follow as a table."
    frame = Frame(key, title, description, [Key(name, style) for name, style in styles.items()])
    room = [value * factor for value in known for factor in (0.6, 1.6)]
    x = scale.logarithmic(room, frame.left, frame.right - 8)
    step = (frame.bottom - frame.top) / max(1, len(rows))
    frame.axes(x, scale.Scale(0, 1, frame.bottom, frame.top, ()), f"{x_label}, logarithmic", "")
    for tick in x.ticks:
        frame.line("grid", x(tick), frame.top, x(tick), frame.bottom)
    for index, row in enumerate(rows):
        _draw(frame, row, styles, x, frame.top + (index + 0.5) * step)
    if not known:
        frame.nothing("no values")
    table = Table(
        (x_label, *styles),
        tuple((row.name, *(numbers.figure(row.values.get(name)) for name in styles)) for row in rows),
    )
    return Plot(key, title, frame.root, table)


def _draw(frame: Frame, row: Row, styles: Mapping[str, str], x: scale.Scale, y: float) -> None:
    frame.text(row.name, frame.left - 8, y + 4, "end", "strong")
    places = {name: x(value) for name, value in row.values.items() if value is not None and name in styles}
    if not places:
        frame.text("too few samples", frame.left + 8, y + 4)
        return
    frame.line("axis", min(places.values()), y, max(places.values()), y)
    for name, at in places.items():
        frame.dot(at, y, styles[name], f"{row.name} {name}: {numbers.figure(row.values[name])}")
    first, last = (choose(places, key=lambda name: places[name]) for choose in (min, max))
    frame.text(numbers.figure(row.values[first]), places[first] - 8, y + 4, "end")
    if last != first:
        frame.text(numbers.figure(row.values[last]), places[last] + 8, y + 4)
