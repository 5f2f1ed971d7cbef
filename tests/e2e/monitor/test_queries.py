"""Every query of every panel and rule, asked of a real Prometheus that has watched a real server at work."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import vllm_dashboards
from exporter_server import serving
from panel_queries import PanelQuery, of_file
from prometheus import Prometheus
from served import Served, free_ports

from trident.config.monitor import Monitor
from trident.monitor.grafana.export import DASHBOARDS
from trident.monitor.prometheus.rules import alerts, groups, recordings

QUESTION = "What is the capital of France?\n"
WINDOW = "15s"
LOAD_S = 6.0
SERIES = re.compile(r"\b(?:trident[:_]|vllm:|nv_|http_)[\w:]+|\bup\b")
NO_GPU = re.compile(r"trident_gpu_\w+")
NO_SPECULATION = re.compile(r"vllm:spec_decode_\w+")
VLLM_DASHBOARDS = "VLLM_DASHBOARDS"
"""Names a folder with vLLM's own dashboards, for whoever wants to have them asked as they are."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def prometheus(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has seen requests at every door, and has evaluated all rules, oftener than they say."""
    folder = tmp_path_factory.mktemp("prometheus")
    rules = folder / "rules.yml"
    often = [{**group.as_map(), "interval": "1s"} for group in groups(Monitor())]
    rules.write_text(json.dumps({"groups": often}), encoding="utf-8")
    with serving(server.run_dir) as port, Prometheus(folder, free_ports(1)[0], port, rules=[rules]) as running:
        until_scraped(running)
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + LOAD_S:
            assert server.generate(QUESTION).status_code == 200
            assert server.stream(QUESTION)
            assert server.infer([QUESTION]).status_code == 200
            assert server.complete(QUESTION)
        time.sleep(2.5)  # the counts of the last ones are written down, and scraped twice
        running.asked_at_s = time.time()
        yield running


def until_scraped(prometheus: Prometheus) -> None:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        if any(float(sample["value"][1]) == 1 for sample in prometheus.query('up{job="trident"}')):
            return
        time.sleep(0.2)
    raise AssertionError("Prometheus has not scraped the exporter")


def has_data(prometheus: Prometheus, query: str) -> bool:
    """At least one of its numbers is one."""
    return any(not math.isnan(float(sample["value"][1])) for sample in prometheus.query(query))


def empty(prometheus: Prometheus, queries: list[PanelQuery]) -> list[str]:
    return [
        f"{item.dashboard} · {item.panel}: {item.query}" for item in queries if not has_data(prometheus, item.query)
    ]


def test_every_panel_has_data(prometheus: Prometheus) -> None:
    queries = [item for file in sorted(DASHBOARDS.glob("*.json")) for item in of_file(file, WINDOW, "1m")]
    assert len(queries) > 80
    excused = {
        item
        for item in queries
        if all(NO_GPU.fullmatch(name) or NO_SPECULATION.fullmatch(name) for name in item.names)
        or item.query == "ALERTS"  # silence is what is wished for
    }
    assert not empty(prometheus, [item for item in queries if item not in excused])
    for item in excused:
        prometheus.query(item.query)  # no data, and no error


def test_what_vllms_dashboards_ask_has_data(prometheus: Prometheus) -> None:
    queries = [query for asked in vllm_dashboards.ASKED for query in asked.queries(WINDOW)]
    assert not [query for query in queries if not has_data(prometheus, query)]


def test_everything_recorded_has_data(prometheus: Prometheus) -> None:
    names = [rule.record for rule in recordings(Monitor()) if rule.needs != "gpu"]
    assert len(names) > 20
    assert not [name for name in names if not has_data(prometheus, name)]


def test_alerts_are_asked_of_series_that_exist(prometheus: Prometheus) -> None:
    """Silence of an alert means something only then."""
    for alert in alerts(Monitor()):
        prometheus.query(alert.expr)
        if alert.needs != "gpu":
            without = [name for name in set(SERIES.findall(alert.expr)) if not has_data(prometheus, name)]
            assert not without, alert.name


@pytest.mark.skipif(VLLM_DASHBOARDS not in os.environ, reason=f"{VLLM_DASHBOARDS} names no folder of vLLM's dashboards")
def test_vllms_dashboards_as_they_are_have_data(prometheus: Prometheus) -> None:
    files = sorted(Path(os.environ[VLLM_DASHBOARDS]).glob("vllm_*.json"))
    assert files
    queries = [item for file in files for item in of_file(file, WINDOW, "1m")]
    without = [item for item in queries if not any(name.startswith(vllm_dashboards.FEATURES) for name in item.names)]
    assert not empty(prometheus, without)
