"""Reads the exporter again and again: as often as asked while somebody looks on, seldom while nobody does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from trident.config.models import Config
from trident.monitor import hints, live, numbers, requests, slo, snapshot
from trident.monitor.counts import Counts
from trident.monitor.hints import Scene
from trident.monitor.lookback import Lookback
from trident.monitor.numbers import LATENCY_WINDOW_S, RATE_WINDOW_S, Numbers
from trident.monitor.reading import Reading
from trident.monitor.server_view import ServerView
from trident.monitor.settings import Settings
from trident.monitor.snapshot import Snapshot
from trident.protocol.in_flight import Question, Told
from trident.supervisor.events import first_of

log = logging.getLogger(__name__)

UNWATCHED_S = 5.0
"""So that a page that is opened has charts; a fifth of the cost."""
HISTORY_S = 900.0
MOST_POINTS = 1800
BURN_WINDOW_S = 300.0
NOBODY_ASKS = Told([], 0)


class Sampler:
    """``collect`` is the exporter's. ``latest`` is None before the first reading; ``history`` has the last 15 min."""

    def __init__(
        self,
        collect: Callable[[], Awaitable[bytes]],
        view: ServerView,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.view = view
        self.settings = settings
        self.latest: Snapshot | None = None
        self.history: deque[Numbers] = deque(maxlen=MOST_POINTS)
        self._collect = collect
        self._clock = clock
        self._lookback = Lookback()
        self._watchers = 0
        self._woken = asyncio.Event()
        self._news: asyncio.Future[Snapshot] | None = None
        self._token_s = clock()
        self._tokens = 0.0

    @classmethod
    def of(cls, run_dir: Path, config: Config) -> Sampler:
        """For the server with this run directory."""
        view = ServerView(run_dir, config)
        return cls(live.exporter(view, config).collect, view, Settings.of(config))

    async def run(self) -> None:
        """Reads until it is cancelled."""
        while True:
            started_s = self._clock()
            try:
                await self.read()
            except Exception:
                log.exception("a reading has failed")
            interval_s = self.settings.refresh_s if self._watchers else UNWATCHED_S
            self._woken.clear()
            await first_of(self._woken, timeout_s=max(0.05, interval_s - (self._clock() - started_s)))

    async def read(self) -> Snapshot:
        """One reading, told to all who watch."""
        page = await self._collect()
        told = await requests.asked(self.view.engines, Question()) if self._watchers else NOBODY_ASKS
        made = self._taken(Reading(page, self._clock()), told)
        self.latest = made
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(made)
        return made

    async def watch(self) -> AsyncGenerator[Snapshot, None]:
        """Each snapshot as it comes. A slow reader gets the newest and misses others."""
        self._watchers += 1
        self._woken.set()
        try:
            while True:
                if self._news is None:
                    self._news = asyncio.get_running_loop().create_future()
                yield await asyncio.shield(self._news)
        finally:
            self._watchers -= 1

    def _taken(self, reading: Reading, told: Told) -> Snapshot:
        counts, view = Counts(reading), self.view
        self._lookback.add(counts)
        now = numbers.of(
            reading, counts, self._lookback.ago(RATE_WINDOW_S), self._lookback.ago(LATENCY_WINDOW_S), time.time()
        )
        self._remember(now)
        earlier = self._lookback.ago(BURN_WINDOW_S)
        slos = [slo.status(one, counts, earlier) for one in self.settings.slos]
        scene = Scene(
            phase=view.phase,
            numbers=now,
            reading=reading,
            children=view.children,
            slos=slos,
            max_running=view.max_running,
            silent_s=self._silent_s(counts, now),
        )
        return Snapshot(
            number=self.latest.number + 1 if self.latest else 0,
            phase=scene.phase,
            server=view.version,
            numbers=now,
            totals=snapshot.totals(reading),
            slos=slos,
            hints=hints.of(scene),
            children=scene.children,
            gpus=snapshot.gpus(reading),
            requests=told,
        )

    def _remember(self, now: Numbers) -> None:
        self.history.append(now)
        while self.history[0].at < now.at - HISTORY_S:
            self.history.popleft()

    def _silent_s(self, counts: Counts, now: Numbers) -> float:
        """For how long something has run and no token has come."""
        tokens = counts.values.get("output_tokens", 0.0)
        if tokens != self._tokens or not now.running:
            self._tokens, self._token_s = tokens, counts.at_s
        return counts.at_s - self._token_s
