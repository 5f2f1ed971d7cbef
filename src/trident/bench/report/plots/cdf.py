"""Which share of values is at most so large: distributions that can be compared in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trident.bench.report import numbers, scale
from trident.bench.report.frame import Frame, Key, Plot, Table

STEPS = 200
SHOWN = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class Sample:
    """Values under one name, in a colour of the theme."""

    name: str
    style: str
    values: NDArray[np.float64]


def cdf(key: str, title: str, samples: Sequence[Sample], x_label: str, note: str = "") -> Plot:
    """Lines through ``STEPS`` quantiles of each sample."""
    filled = [sample for sample in samples if len(sample.values)]
    names = ", ".join(f"{sample.name} ({len(sample.values):,} values)" for sample in samples)
    description = f"Cumulative share of {x_label} for {names}. The figures follow as a table."
    frame = Frame(key, title, description, [Key(sample.name, sample.style) for sample in samples if len(samples) > 1])
    pooled = np.concatenate([sample.values for sample in filled] or [np.zeros(1)])
    x = scale.spread(pooled, frame.left, frame.right)
    y = scale.Scale(0, 100, frame.bottom, frame.top, (0, 25, 50, 75, 100))
    frame.axes(x, y, x_label + (", logarithmic" if x.is_log else ""), "% of values")
    shares = np.linspace(0, 100, STEPS + 1)
    for sample in filled:
        quantiles = np.percentile(sample.values, shares)
        frame.path(
            [(x(max(x.low, float(value))), y(float(at))) for value, at in zip(quantiles, shares, strict=True)],
            sample.style,
        )
    if not filled:
        frame.nothing("no values")
    rows = tuple(
        (
            sample.name,
            f"{len(sample.values):,}",
            *(numbers.figure(float(v)) for v in np.percentile(sample.values, SHOWN)),
        )
        for sample in filled
    )
    return Plot(key, title, frame.root, Table((x_label, "n", *(f"p{share:g}" for share in SHOWN)), rows), note)
