"""What all dashboards have in common: variables, links to each other, numbers of panels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from trident.monitor.grafana.design.panels import SOURCE, Panel

TAG = "trident"
REFRESH = "10s"

Row = tuple[str, Sequence[Panel]]
"""A title, and panels that fill whole lines of the grid."""


def page(uid: str, title: str, about: str, rows: Sequence[Row], variables: Sequence[Any] = ()) -> str:
    """A dashboard as JSON."""
    built = (
        builders.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags([TAG])
        .refresh(REFRESH)
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            builders.DashboardLink("Trident")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(False)
            .include_vars(True)
            .keep_time(True)
        )
        .variables([*_scope(), *variables])
    )
    for title_of_row, panels in rows:
        built = built.with_row(builders.Row(title_of_row))
        for panel in panels:
            built = built.with_panel(panel)
    made = built.build()
    for number, panel in enumerate(made.panels or (), start=1):
        panel.id_val = number
    return json.dumps(made, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def choice(name: str, label: str, about: str, values: Sequence[str], default: str) -> Any:
    """A variable with a few values."""
    return (
        builders.CustomVariable(name)
        .label(label)
        .description(about)
        .values(",".join(values))
        .options([dashboard.VariableOption(value == default, value, value) for value in values])
        .current(dashboard.VariableOption(True, default, default))
        .multi(False)
        .include_all(False)
    )


def _scope() -> list[Any]:
    return [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _values("job", "Job", "label_values(vllm:num_requests_running, job)"),
        _values("instance", "Server", 'label_values(vllm:num_requests_running{job=~"$job"}, instance)'),
        _values(
            "model_name",
            "Model",
            'label_values(vllm:num_requests_running{job=~"$job", instance=~"$instance"}, model_name)',
        ),
    ]


def _values(name: str, label: str, query: str) -> Any:
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        # Without it Grafana lists every value, and a server that is gone from the list would be gone from the charts.
        .all_value(".*")
        .current(dashboard.VariableOption(True, "All", "$__all"))
    )
