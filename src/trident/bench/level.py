"""One load level, run by the crew: prepared together, started at one time, watched, stopped, gathered."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trident.bench import health, measure
from trident.bench.crew import Crew, WorkerDied
from trident.bench.messages import Done, Go, Prepare, Status, Stop
from trident.bench.plan import Load, Slo, StopRules, Target, Workload
from trident.bench.progress import Progress, Recent, Stage, Watch
from trident.bench.result import Point, RequestRow, WorkerHealth
from trident.bench.stop_rules import Watcher

START_TOGETHER_S = 0.1
TICK_S = 0.5
GRACE_S = 60.0
"""What workers may take to count after the drain's end."""


class Level(NamedTuple):
    """What came of a load level. ``problem`` is set when it was cut short."""

    point: Point
    rows: list[RequestRow]
    arrivals: list[NDArray[np.int64]]
    problem: str | None


class LevelRun:
    """``interrupted`` is the user's wish to end."""

    def __init__(
        self,
        crew: Crew,
        *,
        index: int,
        target: Target,
        workload: Workload,
        load: Load,
        stop: StopRules,
        slos: Sequence[Slo],
        origin_ns: int,
        interrupted: asyncio.Event,
        watch: Watch,
        points: int | None,
        finished: Sequence[Point],
    ) -> None:
        self._members = crew.members[: load.concurrency] if load.kind == "closed" else crew.members
        self._index, self._target, self._workload, self._load = index, target, workload, load
        self._stop, self._slos, self._origin_ns = stop, slos, origin_ns
        self._interrupted = interrupted
        self._watch = watch
        self._points, self._finished = points, list(finished)
        self._watcher = Watcher(stop)
        self._recent: list[Status] = []
        self._stopped_by: str | None = None
        self._begun_s = 0.0
        self._last: tuple[float, int, int, float] = (0.0, 0, 0, 0.0)

    async def run(self) -> Level:
        """Raises ConfigurationError, and WorkerDied when nobody is left to report."""
        self._show("preparing")
        await asyncio.gather(*(member.prepare(self._prepare(number)) for number, member in enumerate(self._members)))
        self._begun_s = time.monotonic() + START_TOGETHER_S
        go = Go(self._origin_ns, time.perf_counter_ns() + int(1e9 * START_TOGETHER_S))
        await asyncio.gather(*(member.tell(go) for member in self._members))
        reports = [asyncio.ensure_future(member.done(self._heard)) for member in self._members]
        await self._watched(reports)
        outcomes = await asyncio.gather(*reports, return_exceptions=True)
        done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
        lost = [str(outcome) for outcome in outcomes if isinstance(outcome, WorkerDied)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, WorkerDied):
                raise outcome
        if not done:
            raise WorkerDied("; ".join(lost))
        return self._gathered(done, lost)

    async def _watched(self, reports: Sequence[asyncio.Future[Done]]) -> None:
        """Until all have reported or are lost; tells them to stop when a rule holds."""
        waiting: set[asyncio.Future[Done]] = set(reports)
        interruption = asyncio.ensure_future(self._interrupted.wait())
        give_up_s: float | None = None
        try:
            while waiting:
                wakers: set[asyncio.Future[Any]] = {*waiting}
                if not self._interrupted.is_set():
                    wakers.add(interruption)
                await asyncio.wait(wakers, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
                waiting = {report for report in waiting if not report.done()}
                reason = self._reason(reports)
                if reason is not None:
                    self._stopped_by = reason
                    await self._stop_all(0.0 if reason != "confidence" else self._stop.drain_s)
                    give_up_s = time.monotonic() + GRACE_S + (self._stop.drain_s if reason == "confidence" else 0.0)
                if give_up_s is not None and time.monotonic() > give_up_s:
                    for report in waiting:
                        report.cancel()
                    raise WorkerDied("the client processes do not end")
                self._tick()
        finally:
            interruption.cancel()

    def _reason(self, reports: Sequence[asyncio.Future[Done]]) -> str | None:
        """Once: why it has to end now. The user's wish cuts short what ends for another reason."""
        if self._interrupted.is_set():
            return None if self._stopped_by == "interrupted" else "interrupted"
        if self._stopped_by is not None:
            return None
        if any(report.done() and report.exception() is not None for report in reports):
            return "client process died"
        return self._watcher.reason(self._statuses(), time.monotonic() - self._begun_s)

    async def _stop_all(self, drain_s: float) -> None:
        for member in self._members:
            with contextlib.suppress(WorkerDied):
                await member.tell(Stop(drain_s))

    def _heard(self, status: Status) -> None:
        self._watcher.take(status)
        self._recent.append(status)

    def _prepare(self, number: int) -> Prepare:
        return Prepare(
            point=self._index,
            worker=number,
            workers=len(self._members),
            target=self._target,
            workload=self._workload,
            load=self._load,
            stop=self._stop,
        )

    def _gathered(self, done: Sequence[Done], lost: Sequence[str]) -> Level:
        self._show("counting")
        pairs = [pair for report in done for pair in _pairs(report)]
        pairs.sort(key=lambda pair: pair[0].sent_ns)
        rows = [measure.with_metrics(row, self._slos) for row, _ in pairs]
        arrivals = [times for _, times in pairs]
        stopped_by = self._stopped_by or min((report.stopped_by for report in done), default="")
        point = measure.point(
            index=self._index,
            load=self._load,
            rows=rows,
            arrivals=arrivals,
            slos=self._slos,
            stopped_by=stopped_by,
            judge=functools.partial(
                health.judge,
                send_lag_ms=np.array([row.send_lag_ms for row in rows if row.phase == "measured"]),
                loop_lag_ms=np.concatenate([_array(report.loop_lag) for report in done]) / 1e6,
                coalesced_share=sum(report.coalesced for report in done) / max(1, sum(map(len, arrivals))),
                cpu_us_per_token=_cpu_us_per_token(done),
                workers=[_health(report) for report in done],
            ),
        )
        problem = "; ".join(lost) or ("interrupted" if self._stopped_by == "interrupted" else None)
        return Level(point, rows, arrivals, problem)

    def _statuses(self) -> list[Status]:
        return [member.status for member in self._members if member.status is not None]

    def _tick(self) -> None:
        statuses = self._statuses()
        if not statuses:
            self._show("warmup")
            return
        measured = sum(status.sent - status.sent_warmup for status in statuses)
        is_sending = any(status.is_sending for status in statuses)
        self._show("draining" if not is_sending else "measuring" if measured else "warmup")

    def _show(self, stage: Stage) -> None:
        statuses, recent = self._statuses(), self._recent
        now_s = time.monotonic()
        ended = sum(status.ok + status.errors for status in statuses)
        events, cpu_s = sum(status.events for status in statuses), sum(status.cpu_s for status in statuses)
        then_s, ended_then, events_then, cpu_then_s = self._last
        seconds = max(1e-3, now_s - then_s)
        if recent:
            self._last = (now_s, ended, events, cpu_s)
            self._recent = []
        self._watch(
            Progress(
                stage=stage,
                point=self._index,
                points=self._points,
                load=self._load.label,
                elapsed_s=max(0.0, now_s - self._begun_s) if self._begun_s else 0.0,
                planned_s=self._stop.duration_s,
                planned_requests=self._stop.num_requests,
                sent=sum(status.sent for status in statuses),
                ok=sum(status.ok for status in statuses),
                errors=sum(status.errors for status in statuses),
                in_flight=sum(status.in_flight for status in statuses),
                requests_per_s=(ended - ended_then) / seconds,
                output_events_per_s=(events - events_then) / seconds,
                recent=_recent(recent),
                client_lag_p99_ms=max((status.lag_p99_ms for status in statuses), default=0.0),
                client_cpu_share=(cpu_s - cpu_then_s) / seconds / max(1, len(self._members)),
                last_error=next((status.last_error for status in statuses if status.last_error), None),
                finished=self._finished,
            )
        )


def _array(content: bytes) -> NDArray[np.int64]:
    return np.frombuffer(content, np.int64)


def _pairs(report: Done) -> list[tuple[RequestRow, NDArray[np.int64]]]:
    ends = np.cumsum([row.events for row in report.rows])
    return list(zip(report.rows, np.split(_array(report.arrivals), ends[:-1]), strict=True)) if report.rows else []


def _cpu_us_per_token(done: Sequence[Done]) -> float | None:
    """Sending, reading and counting, over all tokens that came, the warm-up's too."""
    tokens = sum(row.output_tokens for report in done for row in report.rows if row.status != "error")
    return 1e6 * sum(report.cpu_s + report.counting_cpu_s for report in done) / tokens if tokens else None


def _health(report: Done) -> WorkerHealth:
    lags_ms = [row.send_lag_ms for row in report.rows if row.phase == "measured"]
    return WorkerHealth(
        pid=report.pid,
        requests=len(report.rows),
        cpu_share=report.cpu_s / max(1e-9, report.seconds),
        loop_lag_p99_ms=_p99(_array(report.loop_lag) / 1e6),
        send_lag_p99_ms=_p99(np.array(lags_ms)),
    )


def _p99(samples: NDArray[np.float64]) -> float:
    return float(np.percentile(samples, 99)) if len(samples) else 0.0


def _recent(statuses: Sequence[Status]) -> Recent:
    values = {}
    for name in ("ttft", "tpot", "e2e"):
        samples = [sample for status in statuses for sample in getattr(status, f"{name}_ms")]
        if samples:
            values[f"{name}_p50_ms"], values[f"{name}_p99_ms"] = map(float, np.percentile(samples, (50, 99)))
    return Recent(**values)
