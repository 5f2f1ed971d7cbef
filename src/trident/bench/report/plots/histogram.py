"""How often which value came up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trident.bench.report import numbers, scale
from trident.bench.report.frame import Frame, Plot, Table

BINS = 48


def histogram(key: str, title: str, values: NDArray[np.float64], x_label: str, marked: Mapping[str, float],
              note: str = "") -> Plot:  # fmt: skip
    """Bins are of equal width, or of equal ratio on a logarithmic axis. ``marked`` are vertical lines, as percentiles,
    by name."""
    description = f"Histogram of {len(values):,} values of {x_label}. The figures follow as a table."
    frame = Frame(key, title, description)
    if len(values) == 0:
        frame.nothing("no values")
        return Plot(key, title, frame.root, Table((x_label, "count"), ()), note)
    x = scale.spread(values, frame.left, frame.right)
    edges = np.geomspace(x.low, x.high, BINS + 1) if x.is_log else np.linspace(x.low, x.high, BINS + 1)
    counts, _ = np.histogram(np.clip(values, x.low, x.high), edges)
    y = scale.linear([0.0, float(counts.max())], frame.bottom, frame.top + 12)
    frame.axes(x, y, x_label + (", logarithmic" if x.is_log else ""), "count")
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        if count:
            span = f"{numbers.figure(float(left))} to {numbers.figure(float(right))}"
            frame.bar(x(left), y(0), x(right), y(float(count)), "fill-c0", f"{span}: {count:,}")
    _draw_marked(frame, x, marked)
    rows = tuple(
        (f"{numbers.figure(float(left))} – {numbers.figure(float(right))}", f"{count:,}")
        for count, left, right in zip(counts, edges, edges[1:], strict=False)
        if count
    )
    return Plot(key, title, frame.root, Table((x_label, "count"), rows), note)


def _draw_marked(frame: Frame, x: scale.Scale, marked: Mapping[str, float]) -> None:
    """Names that would lie on each other are left to the table."""
    free = frame.left
    for name, value in sorted(marked.items(), key=lambda item: item[1]):
        at = x(value)
        frame.line("limit", at, frame.top, at, frame.bottom)
        if at - 12 >= free:
            frame.text(name, at, frame.top - 2, "middle")
            free = at + 18
