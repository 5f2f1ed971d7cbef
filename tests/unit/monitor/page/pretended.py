"""A server that is not there, as the monitor sees one: run directory, metrics that grow, requests in flight."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trident.config import paths
from trident.config.models import Config
from trident.monitor.access import Access
from trident.monitor.app import App
from trident.monitor.http_server import HttpServer
from trident.monitor.sampler import Sampler
from trident.monitor.server_view import ServerView
from trident.monitor.settings import Settings
from trident.protocol import in_flight
from trident.protocol.in_flight import InFlight, Question, Told
from trident.supervisor.processes import identify
from trident.supervisor.state import ChildState, DoorState, EngineCounts, ServerState

LABELS = 'engine="0",model="generate",model_name="demo",version="1"'
BOUNDS_S = (0.001, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 2.0, 5.0, 10.0)


@dataclass
class Metrics:
    """Numbers of a moment; ``text`` is the page."""

    values: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, list[int]] = field(default_factory=dict)
    extra: str = ""

    def add(self, **grown: float) -> None:
        """Counters by family without ``vllm:``."""
        for name, by in grown.items():
            self.values[f"vllm:{name}"] = self.values.get(f"vllm:{name}", 0) + by

    def observe(self, name: str, value_s: float, times: int = 1) -> None:
        family = f"vllm:{name}"
        counts = self.buckets.setdefault(family, [0] * (len(BOUNDS_S) + 1))
        for index, bound in enumerate((*BOUNDS_S, float("inf"))):
            counts[index] += times * (value_s <= bound)
        self.values[f"{family}_sum"] = self.values.get(f"{family}_sum", 0) + times * value_s
        self.values[f"{family}_count"] = self.values.get(f"{family}_count", 0) + times

    @property
    def text(self) -> bytes:
        lines = [f"{name}{{{LABELS}}} {value}" for name, value in self.values.items()]
        for family, counts in self.buckets.items():
            for bound, count in zip((*BOUNDS_S, "+Inf"), counts, strict=True):
                lines.append(f'{family}_bucket{{{LABELS},le="{bound}"}} {count}')
        return ("\n".join(lines) + "\n" + self.extra).encode()


def busy(metrics: Metrics, seconds: float, *, requests: int = 4, running: int = 12, waiting: int = 0) -> None:
    """So much later, under load."""
    metrics.add(generation_tokens_total=620 * seconds, prompt_tokens_total=900 * seconds)
    metrics.add(iteration_tokens_total_count=50 * seconds, iteration_tokens_total_sum=640 * seconds)
    metrics.add(prefix_cache_queries_total=900 * seconds, prefix_cache_hits_total=350 * seconds)
    metrics.add(num_preemptions_total=0)
    metrics.values["vllm:num_requests_running"] = running
    metrics.values["vllm:num_requests_waiting"] = waiting
    metrics.values["trident_admission_queued_requests"] = 0
    metrics.values["vllm:kv_cache_usage_perc"] = running / 40
    metrics.add(request_success_total=requests)
    for index in range(requests):
        metrics.observe("time_to_first_token_seconds", 0.03 + 0.02 * (index % 3))
        metrics.observe("e2e_request_latency_seconds", 1.5 + 0.4 * (index % 4))
        metrics.observe("request_time_per_output_token_seconds", 0.018)
        metrics.add(request_queue_time_seconds_sum=0.01, request_prefill_time_seconds_sum=0.06)
        metrics.add(request_decode_time_seconds_sum=1.4, request_prompt_tokens_sum=220)
    metrics.observe("inter_token_latency_seconds", 0.018, 40)
    metrics.observe("inter_token_latency_seconds", 0.04, 2)


def requests(count: int) -> list[InFlight]:
    return [
        InFlight(
            id=f"r{index}",
            door=("KServe generate", "OpenAI chat/completions")[index % 2],
            model="demo",
            client=("team-a", "key 3f9a1c2d", "")[index % 3],
            state=("decoding", "decoding", "starting", "queued")[index % 4],  # type: ignore[arg-type]
            age_s=9.5 - 0.4 * index,
            prompt_tokens=120 + index,
            output_tokens=max(0, 300 - 30 * index),
            max_tokens=512,
            prompt="What is the capital of France?",
        )
        for index in range(count)
    ]


@dataclass
class Pretended:
    """The monitor of a server that is not there, answering at ``url``."""

    url: str
    metrics: Metrics
    in_flight: list[InFlight]
    run_dir: Path
    sampler: Sampler
    reads: int = 0
    asked: int = 0


def prepare(config: Config) -> None:
    """Writes what a server would have written. Its process is this one."""
    run_dir = config.run_dir
    (run_dir / "logs").mkdir(parents=True)
    (run_dir / "prometheus").mkdir()
    (run_dir / "config.json").write_text(config.model_dump_json(), encoding="utf-8")
    (run_dir / "logs" / "engine.log").write_text(
        "INFO 2026-11-26 12:00:00 trident.host: ready\nWARNING the queue is long\nERROR something broke\n",
        encoding="utf-8",
    )
    (run_dir / "logs" / "triton.log").write_text("I1126 started\n", encoding="utf-8")
    me = identify(os.getpid())
    assert me is not None
    now = time.time()
    counts = EngineCounts(
        folder=str(run_dir / "prometheus"), served_name="demo", model="generate", version="1", openai_host="127.0.0.1",
        openai_port=config.listen.openai_port,
    )  # fmt: skip
    common: dict[str, Any] = {"log_path": "", "process": me, "since": now - 4000, "is_ready": True, "restarts": 0}
    facts = {"model": "demo", "max_model_len": 2048, "replicas": 1, "max_num_seqs": 32, "kv_cache_tokens": 139264}
    children = [
        ChildState(name="engine host", phase="ready", counts=counts, facts=facts, parts={"engine core": me}, **common),
        ChildState(name="tritonserver", phase="ready", parts={"stub 1": me, "stub 2": me}, mended=1, **common),
        ChildState(name="metrics server", phase="ready", **common),
    ]
    state = ServerState(
        name="default", run_dir=str(run_dir), process=me, started=now - 4000, phase="ready", since=now,
        children=children, doors=[DoorState(name="KServe HTTP generate", ok=True, seconds=0.15)],
        urls={"KServe HTTP": "http://127.0.0.1:8000", "OpenAI": f"http://127.0.0.1:{config.listen.openai_port}/v1"},
        model={"name": "demo", "path": "/models/demo"}, versions={"trident": "0.1.0", "vllm": "0.32.0 (cpu)"},
    )  # fmt: skip
    state.save(run_dir)


@contextmanager
def monitored(config: Config, settings: Settings, metrics: Metrics) -> Iterator[Pretended]:
    """Serves in a thread with a loop of its own; ``prepare`` has been called."""
    view = ServerView(config.run_dir, config)
    made: list[Pretended] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def collect() -> bytes:
        made[0].reads += 1
        return metrics.text

    async def serve() -> None:
        sampler = Sampler(collect, view, settings)
        app = App(config, sampler, Access(config, "127.0.0.1"), collect)
        server = await HttpServer(app.handle).listen("127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        one = Pretended(f"http://127.0.0.1:{port}", metrics, [], config.run_dir, sampler)
        made.append(one)

        def tell(question: Question) -> Told:
            one.asked += 1
            shown = one.in_flight[: question.most]
            if not question.prompts:
                shown = [InFlight(**{**_fields(each), "prompt": None}) for each in shown]
            return Told(shown, len(one.in_flight))

        sockets = paths.sockets_dir(config.run_dir)
        sockets.mkdir(parents=True, exist_ok=True)
        told = await in_flight.serve(sockets / in_flight.RELAY_SOCKET, tell)
        reading = asyncio.ensure_future(sampler.run())
        ready.set()
        try:
            await stopping.wait()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            server.close()
            told.close()

    stopping = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(40)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(40)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


def _fields(one: InFlight) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}
