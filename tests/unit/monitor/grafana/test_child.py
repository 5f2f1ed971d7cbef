"""The command of Grafana as a child, run with a stand-in for Grafana's program."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.monitor import watchers
from trident.monitor.grafana import child, find
from trident.supervisor.command import Command
from trident.supervisor.ports import first_free
from trident.supervisor.reach import http_json

PROMETHEUS = "http://127.0.0.1:9090"


@contextmanager
def running(command: Command) -> Iterator[None]:
    with subprocess.Popen(command.argv, env=dict(command.env), stdin=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def test_grafana_is_given_dashboards_and_prometheus_and_is_known_to_answer(unpacked: Path, tmp_path: Path) -> None:
    port = first_free(child.HOST, 20_000, set())
    command = child.command(
        Config(), find.program(str(unpacked)), port, PROMETHEUS, folder=tmp_path / "files", log_path=tmp_path / "log"
    )

    async def found() -> dict[str, object]:
        assert command.is_answering is not None
        deadline_s = time.monotonic() + 20
        while not await command.is_answering():
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        status, answer = await http_json(child.HOST, port, "/found")
        assert status == 200
        return dict(answer)

    with running(command):
        answer = asyncio.run(found())
    assert answer == {
        "source": PROMETHEUS,
        "dashboards": ["trident-doors", "trident-engine", "trident-machine", "trident-overview"],
    }


def test_grafana_is_not_known_to_answer_while_it_does_not(unpacked: Path, tmp_path: Path) -> None:
    port = first_free(child.HOST, 20_000, set())
    command = child.command(
        Config(), find.program(str(unpacked)), port, PROMETHEUS, folder=tmp_path / "files", log_path=tmp_path / "log"
    )
    assert command.is_answering is not None
    assert not asyncio.run(_once(command))


async def _once(command: Command) -> bool:
    assert command.is_answering is not None
    return await command.is_answering()


def test_promises_of_the_configuration_are_the_dashboards_first_choice(unpacked: Path, tmp_path: Path) -> None:
    config = Config(monitor={"slo_ttft_s": 0.3})  # type: ignore[arg-type]
    child.command(config, find.program(str(unpacked)), 1, PROMETHEUS, folder=tmp_path, log_path=tmp_path / "log")
    overview = json.loads((tmp_path / "dashboards" / "trident-overview.json").read_text(encoding="utf-8"))
    chosen = {item["name"]: item for item in overview["templating"]["list"]}["ttft_bound_s"]
    assert chosen["current"]["value"] == "0.3"
    assert [item["value"] for item in chosen["options"] if item["selected"]] == ["0.3"]
    assert chosen["query"].startswith("0.1,0.25,0.3,0.5")


def test_grafana_listens_on_loopback_alone_and_nobody_logs_in(tmp_path: Path) -> None:
    environ = child.environment(tmp_path, tmp_path / "data", 3001, {"GF_SERVER_HTTP_ADDR": "0.0.0.0", "HOME": "/h"})
    assert (environ["GF_SERVER_HTTP_ADDR"], environ["GF_SERVER_HTTP_PORT"]) == ("127.0.0.1", "3001")
    assert environ["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert environ["GF_AUTH_DISABLE_LOGIN_FORM"] == "true" and environ["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environ["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    assert environ["HOME"] == "/h"
    again = child.environment(tmp_path, tmp_path / "data", 3001, {})
    assert again["GF_SECURITY_ADMIN_PASSWORD"] != environ["GF_SECURITY_ADMIN_PASSWORD"]


def test_users_own_settings_go_before_ours(tmp_path: Path) -> None:
    environ = child.environment(tmp_path, tmp_path / "data", 3001, {"GF_LOG_LEVEL": "debug"})
    assert environ["GF_LOG_LEVEL"] == "debug"


def test_grafana_without_prometheus_is_refused(unpacked: Path) -> None:
    config = Config(monitor={"monitor": True, "prometheus": "none", "grafana": str(unpacked)})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="nothing to show"):
        watchers.check(config)


def test_grafana_is_the_last_to_start_and_is_told_to_the_user(unpacked: Path, tmp_path: Path) -> None:
    prometheus = tmp_path / "prometheus"
    prometheus.write_text("#!/bin/sh\necho prometheus, version 2.42.0\n")
    prometheus.chmod(0o755)
    settings = {"monitor": True, "prometheus": str(prometheus), "grafana": str(unpacked)}
    config = Config(monitor=settings)  # type: ignore[arg-type]
    config.run_dir.mkdir(parents=True)
    found = watchers.of(config, tmp_path)
    assert [command.name for command in found.commands] == ["monitor", "prometheus", "grafana"]
    assert list(found.urls) == ["Monitor", "Prometheus", "Grafana"]
    source = json.loads((config.run_dir / "monitor/grafana/provisioning/datasources/trident.yaml").read_text())
    assert source["datasources"][0]["url"] == found.urls["Prometheus"]
