"""The shipped dashboards: as the code makes them, well laid out, and about metrics that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from trident.monitor.grafana.export import DASHBOARDS

FILES = sorted(DASHBOARDS.glob("*.json"))
PAGE = Path(__file__).with_name("page.txt")
"""What a monitor has exported (names alone): the demo model on a CPU, after requests at each door."""
OPTIONAL = re.compile(r"trident_gpu_|vllm:spec_decode_")
NOT_SCRAPED = {"scrape_samples_scraped"}
"""Prometheus's own, of each scrape."""

Dashboard = dict[str, Any]


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def dashboard(request: pytest.FixtureRequest) -> Dashboard:
    content: Dashboard = json.loads(request.param.read_text(encoding="utf-8"))
    return content


def panels(dashboard: Dashboard) -> list[Dashboard]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_shipped_dashboards_are_what_the_code_makes() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="the SDK needs Python 3.11")
    from trident.monitor.grafana.design.build import BUILDERS

    assert {file.stem for file in FILES} == BUILDERS.keys()
    for uid, build in BUILDERS.items():
        shipped = (DASHBOARDS / f"{uid}.json").read_text(encoding="utf-8")
        assert shipped == build(), "run: make dashboards"


def test_numbers_of_panels_are_unique(dashboard: Dashboard) -> None:
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers)) and all(numbers)


def test_panels_fill_the_grid_and_do_not_overlap(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    lines = {y for _, y in taken}
    assert lines == set(range(len(lines)))


def test_panels_say_what_they_show_and_in_which_unit(dashboard: Dashboard) -> None:
    for panel in panels(dashboard):
        assert panel["description"].endswith("."), panel["title"]
        if panel["type"] == "heatmap":
            assert panel["options"]["yAxis"]["unit"] == "s"
        elif panel["type"] != "table":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_every_query_is_of_the_chosen_servers(dashboard: Dashboard) -> None:
    for panel in panels(dashboard):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        for target in panel["targets"]:
            if target["expr"] != "ALERTS":
                selected = re.findall(r"\{(.*?)\}", target["expr"])
                assert selected and all('job=~"$job", instance=~"$instance"' in labels for labels in selected)


def test_every_metric_is_one_that_is_exported(dashboard: Dashboard) -> None:
    known = set(PAGE.read_text(encoding="utf-8").split())
    for panel in panels(dashboard):
        for target in panel["targets"]:
            for name in re.findall(r"([a-zA-Z_:][\w:]*)\{", target["expr"]):
                assert name in known or name in NOT_SCRAPED or OPTIONAL.match(name), f"{panel['title']}: {name}"


def test_legends_name_labels_that_the_query_keeps(dashboard: Dashboard) -> None:
    for panel in panels(dashboard):
        for target in panel["targets"]:
            kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \((.*?)\)", target["expr"]))))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept, panel["title"]
