"""A result folder with all that it holds, for those who read one: report and comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trident.bench import folder as files
from trident.bench import metrics
from trident.bench.result import Point, RequestRow, Result, Scrape


@dataclass(frozen=True)
class Recorded:
    """``rows`` are in the order of ``arrivals``; ``scrapes`` in that of time."""

    folder: Path
    result: Result
    rows: Sequence[RequestRow]
    arrivals: files.Arrivals
    scrapes: Sequence[Scrape]

    def positions(self, point: Point) -> list[int]:
        """Where in ``rows`` the requests of ``point`` are."""
        return [index for index, row in enumerate(self.rows) if row.point == point.index]

    def requests(self, point: Point) -> list[RequestRow]:
        """All requests of ``point``, of the warm-up too."""
        return [row for row in self.rows if row.point == point.index]

    def answered(self, point: Point) -> list[RequestRow]:
        """Its measured requests that were answered, in the order of their sending: what figures are made of."""
        found = [row for row in self.requests(point) if row.phase == "measured" and row.status == "ok"]
        return sorted(found, key=lambda row: row.sent_ns)

    def samples(self, point: Point, metric: str) -> NDArray[np.float64]:
        """``metric`` (ttft, tpot, e2e, e2e_from_schedule) of each answered request that has it, in ms."""
        values = [getattr(row, f"{metric}_ms") for row in self.answered(point)]
        return np.array([value for value in values if value is not None], np.float64)

    def itl_ms(self, point: Point) -> NDArray[np.float64]:
        """All gaps between token events of its answered requests, in ms."""
        wanted = [
            index
            for index in self.positions(point)
            if self.rows[index].phase == "measured" and self.rows[index].status == "ok"
        ]
        return metrics.itl_ms([self.arrivals.of(index) for index in wanted])

    def span_ns(self, point: Point) -> tuple[int, int]:
        """From its first request's sending, in the warm-up, to the last end."""
        sent = [row.sent_ns for row in self.requests(point)]
        return min(sent, default=point.window.start_ns), point.window.run_end_ns


def load(folder: Path) -> Recorded:
    """Raises ConfigurationError where ``folder`` is no whole result."""
    result = files.read(folder)
    return Recorded(folder, result, files.read_rows(folder), files.read_arrivals(folder), files.read_scrapes(folder))
