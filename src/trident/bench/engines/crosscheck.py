"""What another load generator measured at the same load levels, beside our own figures: ``crosscheck-<tool>.json``."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from trident.bench.result import Point

FILE = "crosscheck-{tool}.json"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both, in ``unit``; None where a tool gives none."""

    metric: str
    statistic: str
    unit: str
    ours: float | None
    theirs: float | None

    @property
    def difference_share(self) -> float | None:
        """Theirs minus ours, as a share of ours."""
        if self.ours is None or self.theirs is None or self.ours == 0:
            return None
        return (self.theirs - self.ours) / self.ours


class Theirs(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool says of one load level. Keys of ``values`` are (metric, statistic) as ``ttft p50``, in our units."""

    ok: int
    failed: int
    duration_s: float
    values: dict[str, float]


class ToolLevel(msgspec.Struct, frozen=True, kw_only=True):
    """One load level, run by the tool after ours."""

    load: str
    command: list[str]
    ok: int
    failed: int
    duration_s: float
    figures: list[Figure]


class CrossCheck(msgspec.Struct, frozen=True, kw_only=True):
    """``notes`` say where the tool's definitions differ from ours."""

    tool: str
    version: str
    levels: list[ToolLevel]
    notes: list[str]


LATENCIES = ("ttft", "tpot", "itl", "e2e")
STATISTICS = ("p50", "p99")
RATES = {"request_throughput": "requests/s", "output_token_throughput": "tokens/s"}


def beside(point: Point, theirs: Theirs, command: list[str]) -> ToolLevel:
    """Their figures with ours at the same level. Rates are compared over the whole run, as other tools define them."""
    figures = []
    for metric in LATENCIES:
        for statistic in STATISTICS:
            found = getattr(point.distributions.get(metric), statistic, None)
            ours = found.value if found else None
            figures.append(
                Figure(metric=metric, statistic=statistic, unit="ms", ours=ours,
                       theirs=theirs.values.get(f"{metric} {statistic}"))
            )  # fmt: skip
    for metric, unit in RATES.items():
        rate = point.whole_run_rates.get(metric)
        figures.append(
            Figure(metric=metric, statistic="rate", unit=unit, ours=rate.value if rate else None,
                   theirs=theirs.values.get(metric))
        )  # fmt: skip
    known = [figure for figure in figures if figure.ours is not None or figure.theirs is not None]
    return ToolLevel(load=point.load.label, command=command, ok=theirs.ok, failed=theirs.failed,
                     duration_s=theirs.duration_s, figures=known)  # fmt: skip


def write(folder: Path, found: CrossCheck) -> Path:
    """Beside the result, atomically."""
    path = folder / FILE.format(tool=found.tool)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))
    new.replace(path)
    return path


def read_all(folder: Path) -> list[CrossCheck]:
    """Of each tool that was run; empty where none was."""
    return [
        msgspec.json.decode(path.read_bytes(), type=CrossCheck) for path in sorted(folder.glob(FILE.format(tool="*")))
    ]
