"""The server as a whole: whether it serves, for how long it did not, and what it is made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from trident.monitor.sources.source import SourceFailed
from trident.monitor.text import Family
from trident.supervisor import state
from trident.supervisor.state import ServerState

PHASES = ("starting", "ready", "degraded", "draining", "stopping", "stopped", "failed")
PLANNED = ("starting", "draining", "stopping", "stopped")
"""What a user has asked for is no outage."""
ENDS = ("stopped", "failed")
NOBODY_NEEDS = ("metrics server", "monitor", "prometheus", "grafana")
"""Requests are answered without them."""


class Server:
    """Of the run directory. ``now_s`` is Unix time, as ``state.json`` has it."""

    name = "server"

    def __init__(self, run_dir: Path, now_s: Callable[[], float] = time.time) -> None:
        self._run_dir = run_dir
        self._now_s = now_s
        self._seen_s = now_s()
        self._was_outage = False
        self._outage_s = 0.0

    async def read(self) -> str:
        """Raises SourceFailed without a server."""
        server = state.load(self._run_dir)
        if server is None:
            raise SourceFailed(f"there is no state in {self._run_dir}")
        phase = _phase(server)
        self._count(_is_outage(server), server.since)
        ready = Family("trident_server_ready", "gauge", "1 while every child serves and every door has answered")
        ready.add(phase == "ready")
        shown = Family("trident_server_phase", "gauge", "1 for what the server is doing")
        for known in PHASES:
            shown.add(phase == known, phase=known)
        outage = Family(
            "trident_server_outage_seconds_total",
            "counter",
            "Time in which the server was up and requests could not be answered at every door, starts and stops apart",
        )
        outage.add(self._outage_s)
        started = Family("trident_server_start_time_seconds", "gauge", "When the server was started, in Unix time")
        started.add(server.started)
        return "".join(family.text() for family in (ready, shown, outage, started)) + _build(server)

    def _count(self, is_outage: bool, since_s: float) -> None:
        """An outage that has begun since the last look counts from its beginning, one that has ended until then."""
        now_s = self._now_s()
        changed_s = min(max(since_s, self._seen_s), now_s) if is_outage != self._was_outage else now_s
        if self._was_outage:
            self._outage_s += changed_s - self._seen_s
        if is_outage and not self._was_outage:
            self._outage_s += now_s - changed_s
        self._was_outage, self._seen_s = is_outage, now_s


def _phase(server: ServerState) -> str:
    """A killed supervisor cannot say that it is dead."""
    return server.phase if server.phase in ENDS or server.is_running() else "failed"


def _is_outage(server: ServerState) -> bool:
    if _phase(server) in ("ready", *PLANNED):
        return False
    away = [child.name for child in server.children if not child.is_ready]
    # Every child is ready again before the doors have answered.
    return not away or any(name not in NOBODY_NEEDS for name in away)


def _build(server: ServerState) -> str:
    versions = server.versions
    info = Family("trident_build_info", "gauge", "1; what the server is made of is in the labels")
    info.add(
        1,
        version=versions.get("trident", ""),
        vllm=versions.get("vllm", ""),
        triton=versions.get("nvidia-pytriton", ""),
    )
    return info.text()
