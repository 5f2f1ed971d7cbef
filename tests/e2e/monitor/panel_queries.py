"""Takes the queries out of a Grafana dashboard, any dashboard, and puts values where Grafana would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

EVERYTHING = ".*"
NAME = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{")


class PanelQuery(NamedTuple):
    """One query as Prometheus can be asked it; ``row`` is the title of the row that the panel is in."""

    dashboard: str
    row: str
    panel: str
    query: str

    @property
    def names(self) -> set[str]:
        """Of the metrics that it selects by labels."""
        return set(NAME.findall(self.query))


def of_file(file: Path, rate_window: str, range_: str) -> list[PanelQuery]:
    """All queries of all its panels, those in collapsed rows among them."""
    content = json.loads(file.read_text(encoding="utf-8"))
    values = {"__rate_interval": rate_window, "__range": range_, "__interval": rate_window, **_defaults(content)}
    found = []
    for row, panel in _panels(content["panels"]):
        for target in panel.get("targets", ()):
            query = re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda name: values[name[1]], target["expr"])
            found.append(PanelQuery(content["title"], row, panel["title"], query))
    return found


def _defaults(content: dict[str, Any]) -> dict[str, str]:
    return {
        variable["name"]: variable["current"]["value"] if variable["type"] == "custom" else EVERYTHING
        for variable in content["templating"]["list"]
    }


def _panels(panels: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    row = ""
    for panel in panels:
        if panel["type"] != "row":
            yield row, panel
            continue
        row = panel["title"]
        yield from ((row, inner) for inner in panel.get("panels", ()))
