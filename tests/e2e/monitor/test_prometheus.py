"""A server that is watched: what Prometheus knows of it, and what it says when the engine is stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import CERTIFICATES, Served, free_ports

from trident.config.monitor import Monitor
from trident.monitor.prometheus.rules import recordings

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

DATA_WITHIN_S = 30.0
FIRES_WITHIN_S = 10.0
"""It is looked every 2 s, and judged every 2 s."""
CLEARS_WITHIN_S = 90.0
"""The engine has to be started again, on a machine of tests; the alert itself is gone 4 s later."""
UP_WITHIN_S = 30.0


class Watched:
    """A server with ``--monitor``, and its Prometheus."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.monitor_port, self.prometheus_port = free_ports(2)
        self._url = f"http://127.0.0.1:{self.prometheus_port}/api/v1"

    @property
    def flags(self) -> list[str]:
        return ["--monitor-port", str(self.monitor_port), "--prometheus-port", str(self.prometheus_port)]

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self._url}/query", params={"query": expression}, timeout=10, verify=CERTIFICATES).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]  # type: ignore[no-any-return]

    def firing(self) -> set[str]:
        alerts = httpx.get(f"{self._url}/alerts", timeout=10, verify=CERTIFICATES).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def is_up(self) -> bool:
        """False too while Prometheus opens: it answers 503 in plain text then."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            return bool(self.query('up{job="trident"} == 1'))
        return False


@pytest.fixture(scope="session", autouse=True)
def _has_prometheus() -> None:
    if shutil.which("prometheus") is None:
        reason = "Prometheus is not installed (apt-get install prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    found = Watched(Served.plan(tmp_path_factory.mktemp("m")))
    started = found.served.serve("demo", "--stubs", "1", "--monitor", *found.flags)
    assert started.returncode == 0, started.stdout + started.stderr
    assert f"Prometheus      http://127.0.0.1:{found.prometheus_port}" in started.stdout
    yield found
    stopped = found.served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


@contextlib.contextmanager
def load(served: Served) -> Iterator[None]:
    """Both doors are asked, one request after the other."""
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            served.generate("What is the capital of France?\n")
            served.complete("What is the capital of France?\n")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        is_over.set()
        asking.join(timeout=120)


def until(condition: Callable[[], object], limit_s: float, what: Callable[[], object]) -> float:
    """After how many seconds it came true."""
    begun_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begun_s < limit_s, what()
        time.sleep(0.2)
    return time.monotonic() - begun_s


def test_every_recorded_metric_has_data_soon_after_load(watched: Watched) -> None:
    wanted = {rule.record for rule in recordings(Monitor()) if rule.needs != "gpu"}

    def missing() -> set[str]:
        return wanted - {sample["metric"]["__name__"] for sample in watched.query('{__name__=~"trident:.+"}')}

    with load(watched.served):
        took_s = until(lambda: not missing(), DATA_WITHIN_S, missing)

    log.info("data for %d recorded metrics after %.1f s of load", len(wanted), took_s)
    (rate,) = watched.query("trident:output_tokens:rate1m")
    assert float(rate["value"][1]) > 0
    (quantile,) = watched.query("trident:ttft_seconds:p95_1m")
    assert 0 < float(quantile["value"][1]) < 60


def test_figures_of_prometheus_are_those_of_the_server(watched: Watched) -> None:
    counted = watched.served.settled_metrics()
    time.sleep(2 * 2.0 + 0.5)  # two looks of Prometheus

    for name in ("vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:request_success_total"):
        (sample,) = watched.query(f"sum({name})")
        assert float(sample["value"][1]) == counted[name], name


def test_nothing_fires_while_all_is_well(watched: Watched) -> None:
    assert watched.firing() == set()


def test_stopped_engine_is_told_and_forgotten_when_it_is_back(watched: Watched) -> None:
    host = next(child for child in watched.served.state()["children"] if child["name"] == "engine host")
    os.kill(host["parts"]["engine core"]["pid"], signal.SIGSTOP)

    fires_s = until(lambda: "TridentEngineDown" in watched.firing(), FIRES_WITHIN_S, watched.firing)
    back_s = until(lambda: watched.served.state()["phase"] == "ready", CLEARS_WITHIN_S, watched.served.state)
    clears_s = until(lambda: "TridentEngineDown" not in watched.firing(), FIRES_WITHIN_S, watched.firing)

    log.info("fires after %.1f s, engine back %.1f s later, alert gone after %.1f s more", fires_s, back_s, clears_s)
    assert watched.served.generate("The capital of France is").json()["text_output"] == " Paris."
    # That it happened is still to be looked at.
    until(lambda: watched.firing() == {"TridentRestarted"}, CLEARS_WITHIN_S, watched.firing)
    (outage,) = watched.query("trident_server_outage_seconds_total")
    assert 0.5 < float(outage["value"][1]) < CLEARS_WITHIN_S
    (restarts,) = watched.query('trident_child_restarts_total{child="engine host"}')
    assert float(restarts["value"][1]) == 1


def test_prometheus_that_dies_is_started_again_and_serving_goes_on(watched: Watched) -> None:
    child = next(child for child in watched.served.state()["children"] if child["name"] == "prometheus")
    os.kill(child["process"]["pid"], signal.SIGKILL)

    def is_back() -> bool:
        now = next(one for one in watched.served.state()["children"] if one["name"] == "prometheus")
        return bool(now["is_ready"] and now["restarts"] == 1)

    until(is_back, UP_WITHIN_S, watched.served.state)
    assert watched.served.state()["phase"] == "ready"
    until(watched.is_up, UP_WITHIN_S, lambda: "Prometheus does not see the monitor")


def test_monitor_up_watches_a_server_that_runs(server: Served, tmp_path: Path) -> None:
    watched = Watched(server)
    words = (tmp_path / "up.log").open("w+")
    up = subprocess.Popen(
        server.command("monitor", "up", *watched.flags), env=server.environ, stdout=words, stderr=subprocess.STDOUT
    )
    try:
        until(watched.is_up, UP_WITHIN_S, lambda: Path(words.name).read_text())
        (ready,) = watched.query("trident_server_ready")
        assert float(ready["value"][1]) == 1
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=20) == 0
        words.close()
    said = Path(words.name).read_text()
    assert "monitor: ready" in said and "prometheus: ready" in said
    assert "Traceback" not in said
    assert not watched.is_up()
