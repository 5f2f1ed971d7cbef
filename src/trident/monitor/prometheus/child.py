"""Prometheus as a child of ours: on loopback, its data bounded, its rules those of the server's promises."""

from __future__ import annotations

import os
from pathlib import Path

from trident.config import paths
from trident.config.models import Config
from trident.config.places import local_host
from trident.monitor import scrape_token
from trident.monitor.prometheus import files
from trident.supervisor.command import Command
from trident.supervisor.reach import http_status

NAME = "prometheus"
HOST = "127.0.0.1"
RETENTION = ("7d", "2GB")
LIVE_TIMEOUT_S = 10.0
CORES_EACH = 8
"""It may use one core of so many: on a small machine the engine needs them."""


def data_dir(name: str) -> Path:
    """Of the server of this name; it outlives the server, so that one can see what was before a restart."""
    return paths.state_dir() / "prometheus" / name


def command(config: Config, program: Path, port: int, *, folder: Path, log_path: Path) -> Command:
    """How it is run; writes its files into ``folder``."""
    target = files.Target(
        host=local_host(config.monitor_host),
        port=config.monitor.monitor_port,
        scheme=config.url_scheme,
        token_file=scrape_token.make(config.run_dir) if config.has_keys else None,
        labels={"server": config.name},
    )
    configuration = files.write(folder, config.monitor, target)
    data = data_dir(config.name)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def is_answering() -> bool:
        return await http_status(HOST, port, "/-/ready") == 200

    async def is_live() -> bool:
        return await http_status(HOST, port, "/-/healthy", LIVE_TIMEOUT_S) == 200

    return Command(
        name=NAME,
        argv=argv(program, configuration, data, port),
        env={"GOMAXPROCS": str(max(1, (os.cpu_count() or 1) // CORES_EACH)), **os.environ},
        log_path=log_path,
        is_answering=is_answering,
        is_live=is_live,
    )


def argv(program: Path, configuration: Path, data: Path, port: int) -> list[str]:
    """The command line."""
    time, size = RETENTION
    return [
        os.fspath(program),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={time}",
        f"--storage.tsdb.retention.size={size}",
        f"--web.listen-address={HOST}:{port}",
    ]
