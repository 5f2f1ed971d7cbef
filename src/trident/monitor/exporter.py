"""Everything there is to measure of one server, on one page."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

from trident.monitor.sources.gpus import Gpus
from trident.monitor.sources.host import Host
from trident.monitor.sources.openai_process import OpenAIProcess
from trident.monitor.sources.processes import Processes
from trident.monitor.sources.server import Server
from trident.monitor.sources.server_page import ServerPage
from trident.monitor.sources.source import Source, SourceFailed
from trident.monitor.text import Family
from trident.supervisor.run_directory import config_of

log = logging.getLogger(__name__)

DEADLINE_S = 4.0
"""Longest time for all sources together; Prometheus gives up later."""
FRESH_S = 0.4
"""Who asks so soon after another gets what that one got: the live page and Prometheus then cost no more than one."""


class Exporter:
    """A source that fails or takes too long is left out, and ``trident_monitor_source_up`` says so."""

    def __init__(self, sources: Sequence[Source], deadline_s: float = DEADLINE_S) -> None:
        self._sources = sources
        self._deadline_s = deadline_s
        self._complaints: dict[str, str] = {}
        self._under_way: asyncio.Task[bytes] | None = None
        self._made_s = -math.inf

    @classmethod
    def of(cls, run_dir: Path) -> Exporter:
        """For the server with this run directory. Raises OSError, ValueError when there is none."""
        page = ServerPage(config_of(run_dir).places.metrics.local)
        return cls([page, Server(run_dir), Processes(run_dir), OpenAIProcess(run_dir), Gpus(run_dir), Host(run_dir)])

    async def collect(self) -> bytes:
        """Prometheus's text format 0.0.4, in bounded time. Who asks while a page is being made gets the same one, and
        for a moment afterwards."""
        is_old = time.monotonic() - self._made_s > FRESH_S
        if self._under_way is None or (self._under_way.done() and is_old):
            self._under_way = asyncio.ensure_future(self._collect())
        return await asyncio.shield(self._under_way)

    async def _collect(self) -> bytes:
        up = Family("trident_monitor_source_up", "gauge", "1 when the source has answered in time")
        took = Family("trident_monitor_source_scrape_seconds", "gauge", "Time until it has answered or failed")
        pages = await asyncio.gather(*(self._read(source, up, took) for source in self._sources))
        self._made_s = time.monotonic()
        return "".join([*pages, up.text(), took.text()]).encode()

    async def _read(self, source: Source, up: Family, took: Family) -> str:
        started_s = time.monotonic()
        text, complaint = "", ""
        try:
            text = await asyncio.wait_for(source.read(), self._deadline_s)
        except asyncio.TimeoutError:
            complaint = f"no answer within {self._deadline_s:g} s"
        except (SourceFailed, OSError) as error:
            complaint = str(error) or type(error).__name__
        except Exception as error:
            complaint = f"{type(error).__name__}: {error}"
            if self._complaints.get(source.name) != complaint:
                log.exception("the source %s has a fault", source.name)
        up.add(not complaint, source=source.name)
        took.add(time.monotonic() - started_s, source=source.name)
        self._note(source.name, complaint)
        return text if not text or text.endswith("\n") else text + "\n"

    def _note(self, name: str, complaint: str) -> None:
        """Once for each new trouble: once a second would fill the disk."""
        if complaint and self._complaints.get(name) != complaint:
            log.warning("the source %s is left out: %s", name, complaint)
        self._complaints[name] = complaint
