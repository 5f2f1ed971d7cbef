"""The runner that measures real servers: starts one with the step's configuration, or goes on with the one that runs,
and loads it by ``trident.bench``."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from trident.bench import preflight, recorded, session
from trident.bench.crew import WorkerDied
from trident.bench.plan import Load, StopRules
from trident.bench.progress import unwatched
from trident.bench.result import Point
from trident.bench.sweep import Levels, Listed
from trident.errors import TridentError
from trident.tune import capacity
from trident.tune import gate as quality
from trident.tune.gate import Gate
from trident.tune.loading import Loading, closed_loop
from trident.tune.objective import Objective
from trident.tune.records import Changes, Record, Step

DOOR_OF = {"openai": "OpenAI", "grpc": "KServe gRPC", "http": "KServe HTTP"}


class Serving(Protocol):
    """A server that can be had with any configuration, one at a time (``TrialServer``)."""

    @property
    def is_running(self) -> bool: ...

    @property
    def urls(self) -> Mapping[str, str]: ...

    def start(self, tables: Mapping[str, Any]) -> float: ...

    def stop(self) -> None: ...


class ClientLost(TridentError):
    """Our own side failed: that says nothing about the configuration."""


class Trials:
    """``tables_of`` gives the whole configuration of some changes, ports and all."""

    def __init__(
        self,
        folder: Path,
        server: Serving,
        loading: Loading,
        objective: Objective,
        tables_of: Callable[[Changes], Mapping[str, Any]],
        *,
        gate: Gate | None = None,
        first_run: int = 0,
    ) -> None:
        self._folder, self._server, self._loading, self._objective = folder, server, loading, objective
        self._tables_of, self._gate = tables_of, gate
        self._running: Changes | None = None
        self._runs = first_run

    def run(self, step: Step) -> Record:
        """A record whatever happens but an interruption, which leaves nothing in the journal."""
        began_s, start_s = time.monotonic(), 0.0
        try:
            if step.is_fresh or self._running != step.changes or not self._server.is_running:
                self._running = None
                start_s = self._server.start(self._tables_of(step.changes))
                self._running = dict(step.changes)
            if step.purpose == "gate":
                assert self._gate is not None
                answers = quality.ask(self._server.urls["OpenAI"], self._gate)
                return Record(step=step, answers=answers, start_s=start_s, took_s=time.monotonic() - began_s)
            return self._loaded(step, start_s, began_s)
        except ClientLost:
            raise
        except TridentError as error:
            self._server.stop()
            self._running = None
            return Record(step=step, failure=f"{error.what}: {error.why}", start_s=start_s,
                          took_s=time.monotonic() - began_s)  # fmt: skip

    def _loaded(self, step: Step, start_s: float, began_s: float) -> Record:
        folder = self._folder / "runs" / f"{self._runs:03d}-{step.purpose}"
        self._runs += 1
        shutil.rmtree(folder, ignore_errors=True)  # of a search that was killed in it
        try:
            is_interrupted = asyncio.run(self._bench(step, folder))
        except WorkerDied as died:
            raise ClientLost("The load test's client has died", str(died), "go on with --resume") from died
        if is_interrupted:
            raise KeyboardInterrupt
        run = recorded.load(folder)
        levels = [self._objective.measured(run, point) for point in run.result.points]
        why = run.result.partial_reason
        if not any(point.counts.ok for point in run.result.points) or (why and not self._server.is_running):
            return Record(step=step, failure=why or "no request was answered", start_s=start_s,
                          took_s=time.monotonic() - began_s)  # fmt: skip
        return Record(step=step, levels=levels, start_s=start_s, took_s=time.monotonic() - began_s)

    async def _bench(self, step: Step, folder: Path) -> bool:
        """Returns whether the user wanted it to end: Ctrl-C would reach the client's processes first."""
        interrupted = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
        loading = self._loading
        workload = msgspec.structs.replace(loading.workload, seed=loading.workload.seed + step.seed,
                                           nonce=secrets.token_hex(8))  # fmt: skip
        kind = "openai" if loading.api.startswith("openai") else "grpc" if "grpc" in loading.api else "http"
        url = self._server.urls[DOOR_OF[kind]].removesuffix("/v1")
        found = await preflight.look(loading.api, url, None, workload)
        await session.run(
            session.Session(
                folder=folder,
                command=["trident", "tune"],
                target=found.target,
                workload=msgspec.structs.replace(workload, text=found.text),
                levels=self._levels(step),
                stop=StopRules(
                    duration_s=loading.look_s if step.level is None else loading.measure_s, drain_s=loading.drain_s
                ),
                slos=self._objective.slos,
                workers=loading.workers,
                metrics_urls=[],
                notes=found.notes,
            ),
            unwatched,
            interrupted,
        )
        return interrupted.is_set()

    def _levels(self, step: Step) -> Levels:
        given = self._loading.load
        if given is not None:
            return Listed([given])
        if step.level is not None:
            return Listed([_clients(step.level)])
        return Climb(self._objective, step, self._loading.most_level)


class Climb:
    """``capacity`` as a load test's levels."""

    count = None

    def __init__(self, objective: Objective, step: Step, most: float) -> None:
        self._objective, self._step, self._most = objective, step, most

    @property
    def largest(self) -> Load:
        """See ``bench.sweep.Levels``."""
        return _clients(self._most)

    def next(self, points: Sequence[Point]) -> Load | None:
        """See ``bench.sweep.Levels``."""
        seen = [(point.load.level, self._objective.score_of(point)) for point in points]
        level = capacity.next_level(seen, self._step.first_level, self._most, is_near=self._step.is_near)
        return None if level is None else _clients(level)


def _clients(level: float) -> Load:
    clients = max(1, round(level))
    return closed_loop(clients)
