"""What one worker does of a load level: prepares, loads, stops, counts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time

import numpy as np

from trident.bench import arrivals, closed_loop, open_loop
from trident.bench.apis.choice import api_and_channel
from trident.bench.messages import Done, Go, Prepare, Status
from trident.bench.plan import STREAMED_APIS
from trident.bench.quota import Quota, share
from trident.bench.records import Records
from trident.bench.sender import Sender
from trident.bench.text import texts
from trident.bench.timer import LoopLag
from trident.bench.workload import conversations

ENCODED_WITHOUT_COUNT = 2000


class WorkerLevel:
    """One load level in this process."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        target, workload, load = prepare.target, prepare.workload, prepare.load
        api, self._channel = api_and_channel(target, workload)
        self.records = Records(
            point=prepare.point,
            worker=prepare.worker,
            workers=prepare.workers,
            api=api,
            texts=texts(workload.text),
            ignores_eos=workload.ignore_eos and target.contract != "recipe",
            is_streamed=target.api in STREAMED_APIS,
        )
        self._stopped = asyncio.Event()
        self._waker = asyncio.Event()
        self._drain_s = prepare.stop.drain_s
        self._stopped_by = ""
        self._quota = Quota(load, prepare.stop, prepare.workers, prepare.worker, self._sending_is_over)
        self._sender = Sender(
            api=api,
            channel=self._channel,
            conversations=conversations(workload),
            records=self.records,
            quota=self._quota,
            first=prepare.worker,
            step=prepare.workers,
            timeout_s=prepare.stop.timeout_s,
            think_time_s=workload.think_time_s,
        )
        self._lag: LoopLag | None = None
        self._lag_seen = 0

    async def prepare(self) -> None:
        """Encodes and connects."""
        load, stop = self._prepare.load, self._prepare.stop
        count = ENCODED_WITHOUT_COUNT
        if stop.num_requests is not None:
            count = share(stop.num_requests + load.warmup_requests, self._prepare.workers, self._prepare.worker)
        self._sender.encode_ahead(count)
        await self._channel.open(len(self._clients()) if load.kind == "closed" else 1)

    async def run(self, go: Go) -> Done:
        """From the start to the end of the drain, then counts."""
        self.records.origin_ns = go.origin_ns
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            await asyncio.sleep(max(0.0, (go.start_ns - time.perf_counter_ns()) / 1e9))
            begun_ns, cpu_s = time.perf_counter_ns(), time.process_time()
            self._lag = LoopLag()
            self._quota.start(go.start_ns)
            await self._load(go.start_ns)
            seconds, cpu_s = (time.perf_counter_ns() - begun_ns) / 1e9, time.process_time() - cpu_s
            self._lag.close()
            await self._channel.close()
        finally:
            gc.enable()
            gc.unfreeze()
        counting_s = time.process_time()
        self.records.count_all()
        counted = self.records.arrivals
        return Done(
            pid=os.getpid(),
            rows=self.records.rows,
            arrivals=np.concatenate(counted).tobytes() if counted else b"",
            loop_lag=np.array(self._lag.samples_ns, np.int64).tobytes(),
            cpu_s=cpu_s,
            counting_cpu_s=time.process_time() - counting_s,
            seconds=seconds,
            coalesced=self.records.coalesced,
            stopped_by=self._stopped_by,
        )

    def stop(self, drain_s: float) -> None:
        """The controller says so."""
        self._drain_s = drain_s
        self._quota.end("controller")
        self._stopped.set()

    def status(self) -> Status:
        """Since the last one."""
        samples = self.records.take_samples()
        lags_ns = self._lag.samples_ns[self._lag_seen :] if self._lag else []
        self._lag_seen += len(lags_ns)
        return Status(
            sent=self._sender.sent,
            sent_warmup=self._sender.sent_warmup,
            ok=self.records.ok,
            errors=self.records.errors,
            in_flight=len(self._sender.in_flight),
            events=self.records.events + sum(len(exchange.pieces) for exchange in self._sender.in_flight),
            is_sending=not self._quota.is_over,
            cpu_s=time.process_time(),
            lag_p99_ms=float(np.percentile(lags_ns, 99)) / 1e6 if lags_ns else 0.0,
            last_error=self.records.last_error,
            ttft_ms=samples.ttft_ms,
            tpot_ms=samples.tpot_ms,
            e2e_ms=samples.e2e_ms,
        )

    async def _load(self, start_ns: int) -> None:
        load = asyncio.ensure_future(
            self._closed(start_ns) if self._prepare.load.kind == "closed" else self._open(start_ns)
        )
        ends = asyncio.ensure_future(self._ends())
        try:
            await asyncio.wait({load, ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            load.cancel()
            ends.cancel()
            await asyncio.gather(load, ends, return_exceptions=True)
        if not load.cancelled() and load.exception() is not None:
            raise load.exception()  # type: ignore[misc]

    async def _ends(self) -> None:
        """Returns when the drain has taken too long."""
        while not self._stopped.is_set():
            end_ns = self._quota.end_ns
            if end_ns is not None and time.perf_counter_ns() >= end_ns:
                self._quota.end("duration")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), 0.05)
        # Asked again: the controller may shorten the drain.
        over_ns = time.perf_counter_ns()
        while time.perf_counter_ns() < over_ns + 1e9 * self._drain_s:  # noqa: ASYNC110 - a time, no event
            await asyncio.sleep(0.02)

    async def _closed(self, start_ns: int) -> None:
        load = self._prepare.load
        await closed_loop.run(
            self._sender,
            self._quota,
            clients=self._clients(),
            ramp_ns=int(1e9 * load.ramp_s),
            of=load.concurrency or 1,
            start_ns=start_ns,
        )

    async def _open(self, start_ns: int) -> None:
        load, stop = self._prepare.load, self._prepare.stop
        most = arrivals.count_until(load, load.ramp_s + load.warmup_s + (stop.duration_s or 0.0)) + load.warmup_requests
        if stop.num_requests is not None:
            most = max(most, stop.num_requests + load.warmup_requests + arrivals.count_until(load, load.warmup_s))
        all_s = arrivals.arrivals_s(load, most, self._prepare.workload.seed)
        own_ns = (1e9 * all_s[self._prepare.worker :: self._prepare.workers]).astype(np.int64)
        last = "trace" if load.arrival == "trace" else "requests"
        await open_loop.run(
            self._sender, self._quota, schedule_ns=own_ns, start_ns=start_ns, last=last, waker=self._waker
        )

    def _clients(self) -> list[int]:
        return list(range(self._prepare.worker, self._prepare.load.concurrency or 1, self._prepare.workers))

    def _sending_is_over(self, reason: str) -> None:
        self._stopped_by = reason
        self._stopped.set()
        self._waker.set()
        self._sender.stop()
