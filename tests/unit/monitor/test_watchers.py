"""The monitor and a real Prometheus beside a server that is only a state file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.parse
import urllib.request
from pathlib import Path

import monitor_fakes as fakes
import pytest

from trident.config import load, paths
from trident.config.models import Config
from trident.monitor import watchers
from trident.supervisor.attendants import Attendants

UP_WITHIN_S = 20.0


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path / "state"))


def server(**flags: object) -> Config:
    """As it leaves its run directory."""
    names = ("http_port", "grpc_port", "metrics_port", "openai_port", "monitor_port", "prometheus_port")
    config = load({**dict(zip(names, fakes.free_ports(6), strict=True)), "monitor": True, **flags}, environ={})
    logs = config.run_dir / "logs"
    logs.mkdir(parents=True)
    (config.run_dir / "config.json").write_text(config.model_dump_json())
    fakes.save_state(config.run_dir)
    return config


def test_without_prometheus_there_is_the_monitor_alone() -> None:
    config = server(prometheus="none")

    found = watchers.of(config, config.run_dir / "logs")

    assert [command.name for command in found.commands] == ["monitor"]
    assert found.urls == {"Monitor": f"http://127.0.0.1:{config.monitor.monitor_port}"}


@pytest.mark.parametrize("keys", [(), ("a-secret-key",)], ids=["open", "with a key"])
def test_prometheus_may_look_at_the_monitor(keys: tuple[str, ...], prometheus_program: str) -> None:
    config = server(api_key=keys, prometheus=prometheus_program, scrape_s=0.5)
    found = watchers.of(config, config.run_dir / "logs")
    written = "".join(path.read_text() for path in (config.run_dir / "monitor").iterdir())
    assert "a-secret-key" not in written

    async def scenario() -> None:
        watching = Attendants(found.commands, config.supervision, lambda: None)
        watching.start()
        try:
            await until_up(found.urls["Prometheus"])
        finally:
            await watching.stop(asyncio.Event())

    asyncio.run(asyncio.wait_for(scenario(), 2 * UP_WITHIN_S))
    assert (paths.state_dir() / "prometheus" / "default").is_dir()


async def until_up(url: str) -> None:
    end_s = time.monotonic() + UP_WITHIN_S
    query = urllib.parse.urlencode({"query": 'trident_server_ready and on () up{job="trident"} == 1'})
    while time.monotonic() < end_s:
        with contextlib.suppress(OSError):
            if await asyncio.to_thread(result, f"{url}/api/v1/query?{query}"):
                return
        await asyncio.sleep(0.1)
    raise AssertionError("Prometheus does not see the monitor")


def result(url: str) -> list[object]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)["data"]["result"]  # type: ignore[no-any-return]
