"""A run directory as a server leaves it, and the samples of a page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from trident.monitor.sources.source import Source
from trident.supervisor.processes import Process, identify
from trident.supervisor.state import ChildState, ServerPhase, ServerState

Labels = tuple[tuple[str, str], ...]


def own_process() -> Process:
    found = identify(os.getpid())
    assert found is not None
    return found


def child(
    name: str, process: Process | None = None, *, is_ready: bool = True, parts: dict[str, Process] | None = None
) -> ChildState:
    return ChildState(
        name=name,
        log_path="",
        process=process,
        phase="ready",
        since=0,
        is_ready=is_ready,
        restarts=0,
        parts=parts or {},
    )


def save_state(
    run_dir: Path, phase: ServerPhase = "ready", children: Sequence[ChildState] = (), since: float | None = None
) -> None:
    ServerState(
        name="default",
        run_dir=str(run_dir),
        process=own_process(),
        started=1000.0,
        phase=phase,
        since=time.time() if since is None else since,
        children=list(children),
        versions={"trident": "0.1.0", "vllm": "0.32.0 (cpu)", "nvidia-pytriton": "0.7.0"},
    ).save(run_dir)


def samples(text: str) -> dict[str, dict[Labels, float]]:
    """By the name of a family's sample, by its labels."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def read(source: Source) -> dict[str, dict[Labels, float]]:
    """What it says now."""
    return samples(asyncio.run(source.read()))


def free_ports(count: int) -> list[int]:
    """Different ones."""
    with contextlib.ExitStack() as probes:
        found = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
        return found
