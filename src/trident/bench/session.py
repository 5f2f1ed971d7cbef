"""A run from its first look at the server to the written result: levels one after the other, the folder rewritten
after each.

What ends it early (Ctrl-C, a dead server, a dead client process) leaves a valid result that says so.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from trident import __version__
from trident.bench import folder, machine
from trident.bench.crew import Crew, WorkerDied
from trident.bench.level import LevelRun
from trident.bench.plan import Slo, StopRules, Target, Workload
from trident.bench.progress import Watch
from trident.bench.result import Point, RequestRow, Result
from trident.bench.scrape import Scraper
from trident.bench.sweep import Levels

GIVE_UP_REASONS = ("errors", "server gone")


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is run, and where its result goes."""

    folder: Path
    command: list[str]
    target: Target
    workload: Workload
    levels: Levels
    stop: StopRules
    slos: list[Slo]
    workers: int
    metrics_urls: list[str]
    notes: list[str] = []


async def run(session: Session, watch: Watch, interrupted: asyncio.Event) -> Result:
    """Raises ConfigurationError before anything is sent; afterwards there is a result whatever happens."""
    record = _Record(session)
    scraper = Scraper(session.metrics_urls, record.origin_ns)
    scraper.start()
    try:
        async with Crew(session.workers) as crew:
            while (load := session.levels.next(record.points)) is not None:
                level = LevelRun(
                    crew,
                    index=len(record.points),
                    target=session.target,
                    workload=_workload(session.workload, len(record.points)),
                    load=load,
                    stop=session.stop,
                    slos=session.slos,
                    origin_ns=record.origin_ns,
                    interrupted=interrupted,
                    watch=watch,
                    points=session.levels.count,
                    finished=record.points,
                )
                try:
                    outcome = await level.run()
                except WorkerDied as died:
                    record.problem = str(died)
                    break
                record.points.append(outcome.point)
                record.rows += outcome.rows
                record.arrivals += outcome.arrivals
                record.problem = outcome.problem or _given_up(outcome.point)
                if record.problem is not None:
                    break
                if session.levels.count != 1:
                    record.write(scraper, is_over=False)
    finally:
        await scraper.stop()
    return record.write(scraper, is_over=True)


def _workload(workload: Workload, index: int) -> Workload:
    """Each level asks other words, or the second would meet the first one's prompts in the server's prefix cache."""
    if index == 0 or not workload.nonce:
        return workload
    return msgspec.structs.replace(workload, nonce=f"{workload.nonce}/{index}")


def _given_up(point: Point) -> str | None:
    if point.stopped_by not in GIVE_UP_REASONS:
        return None
    worst = point.errors[0] if point.errors else None
    said = f": {worst.count} x {worst.kind} ({worst.example})" if worst else ""
    return f"stopped by {point.stopped_by}{said}"


class _Record:
    """What there is so far."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._started_at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._machine = machine.describe()
        self.origin_ns = time.perf_counter_ns()
        self.points: list[Point] = []
        self.rows: list[RequestRow] = []
        self.arrivals: list[NDArray[np.int64]] = []
        self.problem: str | None = None

    def write(self, scraper: Scraper, *, is_over: bool) -> Result:
        """The whole folder. Between levels it is marked as still running."""
        session = self._session
        result = Result(
            tool_version=__version__,
            command=session.command,
            started_at=self._started_at,
            origin_ns=self.origin_ns,
            duration_s=(time.perf_counter_ns() - self.origin_ns) / 1e9,
            complete=is_over and self.problem is None,
            partial_reason=self.problem if is_over else "still running, or killed",
            machine=self._machine,
            target=session.target,
            workload=session.workload,
            stop=session.stop,
            slos=session.slos,
            points=self.points,
            notes=session.notes,
        )
        folder.write(session.folder, result, self.rows, folder.Arrivals.join(self.arrivals), scraper.scrapes)
        return result
