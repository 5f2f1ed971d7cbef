"""The part of a report that shows another tool's figures beside ours."""

from __future__ import annotations

from trident.bench.engines.crosscheck import CrossCheck, Figure, ToolLevel
from trident.bench.report import numbers, page
from trident.bench.report.frame import Table
from trident.bench.report.load_plots import LATENCIES
from trident.bench.report.markup import Element, element


def section(found: CrossCheck) -> Element:
    """A table over all load levels, and where the definitions differ."""
    rows = tuple(_row(level, one) for level in found.levels for one in level.figures)
    failed = [f"{level.load}: {level.failed:,} of its requests failed" for level in found.levels if level.failed]
    return page.section(
        f"Cross-check with {found.tool} {found.version}",
        page.verdict("bad", "It had failures.", "", failed) if failed else None,
        page.card(page.table(Table(("load", "figure", "ours", found.tool, "difference"), rows))),
        element("ul", *(element("li", note) for note in found.notes), class_="muted"),
    )


def _row(level: ToolLevel, one: Figure) -> tuple[str, ...]:
    short = LATENCIES[one.metric][0] if one.metric in LATENCIES else one.metric.upper()
    name = f"{short} {one.statistic} ms" if one.unit == "ms" else f"{one.metric.replace('_', ' ')}, {one.unit}"
    return level.load, name, numbers.figure(one.ours), numbers.figure(one.theirs), numbers.change(one.difference_share)
