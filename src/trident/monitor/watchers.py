"""The processes that watch a server: the monitor, Prometheus where it is installed, and Grafana where it is wanted."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from trident.config.models import Config
from trident.config.monitor import Monitor
from trident.errors import ConfigurationError
from trident.monitor.grafana import child as grafana
from trident.monitor.grafana import find as find_grafana
from trident.monitor.grafana.find import Grafana
from trident.monitor.prometheus import child as prometheus
from trident.monitor.prometheus import find
from trident.supervisor import ports
from trident.supervisor.command import Command

MONITOR = "monitor"


class Watchers(NamedTuple):
    """Their commands, and where a browser finds them."""

    commands: list[Command]
    urls: dict[str, str]


def check(config: Config) -> None:
    """Raises ConfigurationError for a program that is named and is not there."""
    _programs(config.monitor)


def of(config: Config, logs: Path) -> Watchers:
    """Of the server with this configuration; writes their files into its run directory. Raises ConfigurationError."""
    commands = [monitor(config, logs)]
    urls = {"Monitor": config.monitor_url}
    program, seen_by = _programs(config.monitor)
    if program is not None:
        taken = {*config.listen.ports.values(), config.monitor.monitor_port}
        port = ports.first_free(prometheus.HOST, config.monitor.prometheus_port, taken)
        folder = config.run_dir / "monitor"
        commands.append(
            prometheus.command(config, program, port, folder=folder, log_path=logs / f"{prometheus.NAME}.log")
        )
        urls["Prometheus"] = f"http://{prometheus.HOST}:{port}"
        if seen_by is not None:
            commands.append(_grafana(config, seen_by, urls, {*taken, port}, logs))
    return Watchers(commands, urls)


def _programs(monitor: Monitor) -> tuple[Path | None, Grafana | None]:
    program = find.program(monitor.prometheus)
    if monitor.grafana is None:
        return program, None
    found = find_grafana.program(monitor.grafana)
    if program is None:
        raise ConfigurationError("Grafana would have nothing to show", "no Prometheus is run", find.NEXT_STEP)
    return program, found


def _grafana(config: Config, program: Grafana, urls: dict[str, str], taken: set[int], logs: Path) -> Command:
    port = ports.first_free(grafana.HOST, config.monitor.grafana_port, taken)
    folder = config.run_dir / "monitor" / grafana.NAME
    made = grafana.command(
        config, program, port, urls["Prometheus"], folder=folder, log_path=logs / f"{grafana.NAME}.log"
    )
    urls["Grafana"] = f"http://{grafana.HOST}:{port}"
    return made


def monitor(config: Config, logs: Path) -> Command:
    """The page and the metrics; it says on the status pipe that it serves."""
    place = ["--host", config.monitor_host, "--port", str(config.monitor.monitor_port)]
    return Command(
        name=MONITOR,
        argv=[sys.executable, "-m", "trident.monitor", "--run-dir", os.fspath(config.run_dir), *place],
        env=os.environ,
        log_path=logs / "monitor.log",
    )
