"""What a Grafana needs to show Trident: dashboards, and the files that make it find them and a Prometheus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parent / "dashboards"
"""As they ship."""
DASHBOARDS_FOLDER = "dashboards"
PROVISIONING_FOLDER = "provisioning"
GRAFANAS_FOLDER = "Trident"


def bounds(ttft_s: float, tpot_s: float) -> dict[str, str]:
    """Promises as the dashboards' variables take them: as Prometheus writes a bound of a histogram."""
    return {"ttft_bound_s": repr(float(ttft_s)), "tpot_bound_s": repr(float(tpot_s))}


def write(
    folder: Path,
    prometheus_url: str,
    scrape_s: float,
    chosen: Mapping[str, str] | None = None,
    dashboards_at: Path | None = None,
) -> list[Path]:
    """Puts dashboards and provisioning files into ``folder`` and returns them. ``chosen`` are values of variables, by
    name. Grafana will look for the dashboards at ``dashboards_at``, by default where they are. Raises OSError."""
    dashboards = folder / DASHBOARDS_FOLDER
    written = []
    for source in sorted(DASHBOARDS.glob("*.json")):
        content = json.loads(source.read_text(encoding="utf-8"))
        _choose(content, chosen or {})
        written.append(_put(dashboards / source.name, content))
    provisioning = folder / PROVISIONING_FOLDER
    written.append(_put(provisioning / "datasources" / "trident.yaml", data_source(prometheus_url, scrape_s)))
    written.append(_put(provisioning / "dashboards" / "trident.yaml", provider(dashboards_at or dashboards.absolute())))
    return written


def rules(folder: Path, groups: list[dict[str, Any]]) -> Path:
    """Prometheus's rules, for a Prometheus that is not ours: the table of alerts is of them."""
    return _put(folder / "prometheus" / "trident.rules.yml", {"groups": groups})


def data_source(prometheus_url: str, scrape_s: float) -> dict[str, Any]:
    """Grafana's file for a Prometheus."""
    source = {
        "name": "Trident",
        "uid": "trident-prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": prometheus_url,
        # Grafana makes the window of rates from it; with its own default of 15 s they would be a minute long.
        "jsonData": {"timeInterval": f"{round(scrape_s * 1000)}ms", "httpMethod": "POST"},
        "editable": False,
    }
    return {"apiVersion": 1, "datasources": [source]}


def provider(dashboards: Path) -> dict[str, Any]:
    """Grafana's file for a folder of dashboards."""
    settings = {
        "name": "Trident",
        "folder": GRAFANAS_FOLDER,
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": str(dashboards)},
    }
    return {"apiVersion": 1, "providers": [settings]}


def _choose(dashboard: dict[str, Any], chosen: Mapping[str, str]) -> None:
    for variable in dashboard["templating"]["list"]:
        value = chosen.get(variable["name"])
        if value is None:
            continue
        values = [option["value"] for option in variable["options"]]
        values = values if value in values else sorted([*values, value], key=float)
        variable["options"] = [{"selected": one == value, "text": one, "value": one} for one in values]
        variable["query"] = ",".join(values)
        variable["current"] = {"selected": True, "text": value, "value": value}


def _put(path: Path, content: dict[str, Any]) -> Path:
    """JSON is YAML too, and quotes whatever is in a path or a URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
