"""The few kinds of panel that all dashboards are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS = 24
REF_IDS = "ABCDEFGHIJ"
SHARE = "percentunit"
TOKENS_PER_S = "suffix: tok/s"
PER_S = "suffix: /s"

Panel = Any
"""A builder of one; the SDK's types are out of mypy's sight."""
Step = tuple[str, float | None]
"""A colour, and the value from which on it holds."""

GOOD_IS_HIGH: tuple[Step, ...] = (("red", None), ("orange", 0.9), ("green", 0.95))
GOOD_IS_NONE: tuple[Step, ...] = (("green", None), ("red", 1e-9))
FILLS_UP: tuple[Step, ...] = (("green", None), ("orange", 0.9), ("red", 0.98))


class Line(NamedTuple):
    """A query, and what its series are called."""

    query: str
    legend: str


def quantiles(of: Any, family: str, **scope: str) -> list[Line]:
    """The usual three and the mean; ``of`` is the module ``promql``."""
    lines = [Line(of.quantile(part, family, **scope), f"p{part * 100:.0f}") for part in (0.5, 0.95, 0.99)]
    return [*lines, Line(of.mean(family, **scope), "mean")]


def chart(
    title: str, about: str, lines: Sequence[Line], unit: str, *, width: int = 8, is_stacked: bool = False,
    most: float | None = None,
) -> Panel:  # fmt: skip
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(8)
        .line_width(1)
        .fill_opacity(30 if is_stacked else 8)
        .show_points(common.VisibilityMode.NEVER)
        .min(0)
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
    )
    if is_stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if most is not None:
        panel = panel.max(most)
    for line, ref_id in zip(lines, REF_IDS, strict=False):
        panel = panel.with_target(_query(line, ref_id))
    return panel


def tile(
    title: str, about: str, query: str, unit: str, *, steps: Sequence[Step] = (("blue", None),), width: int = 3
) -> Panel:
    """One number, with the line of its past behind it."""
    is_judged = len(steps) > 1
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .unit(unit)
        .span(width)
        .height(4)
        .no_value("no traffic")
        .thresholds(
            dashboard_builders.ThresholdsConfig()
            .mode(dashboard.ThresholdsMode.ABSOLUTE)
            .steps([dashboard.Threshold(color=color, value=value) for color, value in steps])
        )
        .color_scheme(dashboard_builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
        .color_mode(common.BigValueColorMode.VALUE if is_judged else common.BigValueColorMode.NONE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
        .with_target(_query(Line(query, title), "A"))
    )


def heat(title: str, about: str, query: str, unit: str, *, width: int = 8) -> Panel:
    """A histogram's buckets over time: shows two kinds of request that one percentile would mix."""
    return (
        heatmap.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .span(width)
        .height(8)
        .calculate(False)
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(common.AxisPlacement.LEFT))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
        )
        .cell_gap(1)
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .with_target(_query(Line(query, "{{le}}"), "A").format(PromQueryFormat.HEATMAP))
    )


def rows_of(title: str, about: str, query: str, labels: dict[str, str], *, width: int = COLUMNS) -> Panel:
    """A table of a query's labels as they are now; ``labels`` says what each is called."""
    return (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(SOURCE)
        .span(width)
        .height(6)
        .transformations(
            [
                dashboard.DataTransformerConfig(
                    id_val="filterFieldsByName", options={"include": {"names": list(labels)}}
                ),
                dashboard.DataTransformerConfig(
                    id_val="organize",
                    options={
                        "indexByName": {name: place for place, name in enumerate(labels)},
                        "renameByName": labels,
                    },
                ),
            ]
        )
        .with_target(_query(Line(query, ""), "A").format(PromQueryFormat.TABLE).instant())
    )


def _query(line: Line, ref_id: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(line.query).legend_format(line.legend).range().ref_id(ref_id)
