"""One engine host from start to stop: launches, warms up, relays, watches, ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import connection
from pathlib import Path

import uvloop
from vllm.v1.engine.core_client import AsyncMPClient, EngineCoreClient
from vllm.v1.engine.exceptions import EngineDeadError

from trident.engine import cause, gpu_use, own_cpus, tokenizer_file
from trident.engine.admission.limits import limits
from trident.engine.beat import beat
from trident.engine.continuation import Continuation
from trident.engine.drain import Drain
from trident.engine.heartbeat import Heartbeat
from trident.engine.intake import Intake
from trident.engine.launch import OPENAI_SERVER, RELAY_SLOT, SLOTS, Launched, launch
from trident.engine.ledger import Ledger
from trident.engine.lora.adapters import copies_dir
from trident.engine.lora.loader import Loader
from trident.engine.openai_health import until_healthy
from trident.engine.relay import Relay
from trident.engine.warm_up import warm_up
from trident.protocol import in_flight, status
from trident.protocol.messages import VERSION, EngineReady
from trident.protocol.spec import HostSpec

log = logging.getLogger("trident.host")

CANNOT_START = 3


def run(spec: HostSpec) -> int:
    """Returns the exit code: 0 told to stop, 1 the engine or the OpenAI server died, 3 cannot start."""
    logging.basicConfig(format="%(levelname)s %(asctime)s %(name)s: %(message)s", level=logging.INFO)
    recorder = cause.Recorder(Path(spec.run_dir) / "engine-start.cause")
    try:
        launched = launch(spec)
    except (Exception, SystemExit) as error:
        log.exception("cannot start")
        if cause.was_killed(error):
            return 1  # the same start may work the next time
        why = recorder.recorded() or cause.describe(error)
        status.report(cause.failed("vLLM could not start the engine", why))
        return CANNOT_START
    host = _Host(spec, launched)
    try:
        return uvloop.run(host.run())
    finally:
        _stop(launched, politely=not host.is_lost)
        shutil.rmtree(copies_dir(spec), ignore_errors=True)


class _Host:
    def __init__(self, spec: HostSpec, launched: Launched) -> None:
        self._spec = spec
        self._launched = launched
        self._stopping = asyncio.Event()
        self._lost: str | None = None
        self._suspicions: dict[int, str] = {}
        self._announced: status.Ready | None = None

    @property
    def is_lost(self) -> bool:
        """One of its processes has died, or an engine does not answer."""
        return self._lost is not None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._watch_children(loop)
        launched = self._launched
        client = EngineCoreClient.make_async_mp_client(
            launched.config, launched.executor_class, launched.log_stats, launched.client_addresses, SLOTS, RELAY_SLOT
        )
        try:
            return await self._serve(client)
        except EngineDeadError:
            self._lose("the engine has died")
            return 1
        finally:
            client.shutdown(timeout=1)

    async def _serve(self, client: AsyncMPClient) -> int:
        launched, spec = self._launched, self._spec
        tasks = await client.get_supported_tasks_async()
        loras = Loader(client, launched.adapters.shelf)
        continuation = Continuation(launched.config, in_engine=True)
        intake = Intake(launched.config, launched.inputs, launched.chat, tasks, loras, continuation, spec.limits)
        engines = launched.config.parallel_config.data_parallel_size
        ledger = Ledger(launched.config, engines) if launched.log_stats else None
        status.report(status.Phase("warming up", expects_stubs=True))
        launched.chat.warm_up()
        await warm_up(client, intake, launched.config)
        ready = EngineReady(
            version=VERSION,
            epoch=time.time_ns(),
            relay_address=spec.relay_address,
            model_name=spec.served_name,
            max_model_len=launched.config.model_config.max_model_len,
            replicas=engines,
            tokenizer_path=str(launched.tokenizer_path),
            fingerprint=tokenizer_file.fingerprint(launched.tokenizer_path, spec.model_path),
        )
        scheduler = launched.config.scheduler_config
        bounds = limits(
            spec,
            max_num_seqs=scheduler.max_num_active_seqs or scheduler.max_num_seqs,
            max_num_batched_tokens=scheduler.max_num_batched_tokens,
            replicas=engines,
        )
        log.info("admission: %s", bounds)
        relay = Relay(client, intake, ledger, ready, bounds)
        drain = Drain(relay, launched.openai.way_out, partial(_has_work, client), partial(_abort_all, client))
        drain.attend(asyncio.get_running_loop())
        looked_at = await in_flight.serve(spec.sockets_dir / in_flight.RELAY_SOCKET, relay.told)
        workers = [
            asyncio.ensure_future(relay.serve(spec.relay_address)),
            asyncio.ensure_future(beat()),
            *(asyncio.ensure_future(self._heartbeat(client, relay, ledger, engine)) for engine in range(engines)),
            asyncio.ensure_future(self._stopping.wait()),
            asyncio.ensure_future(self._announce(ready, intake.tasks)),
        ]
        announce = workers[-1]
        try:
            pending = set(workers)
            while True:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                if done != {announce}:
                    break
        finally:
            looked_at.close()
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return 1 if self.is_lost else 0

    async def _announce(self, ready: EngineReady, tasks: Sequence[str]) -> None:
        """Tells the supervisor once the OpenAI server answers too."""
        spec = self._spec
        status.report(status.Phase("starting the OpenAI server", serves_stubs=True))
        await until_healthy(spec, self._launched.openai.process.pid)
        # Not before: what is imported and compiled at the start uses every CPU.
        engines = [process.pid or 0 for process in self._launched.engines.processes]
        own_cpus.keep_apart(engines, spec.core_cpus, spec.other_cpus)
        facts = {
            "model": ready.model_name,
            "max_model_len": ready.max_model_len,
            "replicas": ready.replicas,
            "tasks": sorted(tasks),
            "openai_server": self._launched.openai.kind,
            "kv_cache_tokens": self._launched.config.cache_config.kv_cache_size_tokens,
            "max_num_seqs": self._launched.config.scheduler_config.max_num_seqs,
            "core_cpus": spec.core_cpus,
        }
        lingering = (OPENAI_SERVER,) if self._launched.openai.lingers else ()
        self._announced = status.Ready(facts, self._launched.pids, lingering)
        if not self._suspicions:
            status.report(self._announced)
        log.info("ready: %s", facts)

    async def _heartbeat(self, client: AsyncMPClient, relay: Relay, ledger: Ledger | None, engine: int) -> None:
        identity = client.core_engines[engine]

        def on_answer(has_work: bool) -> None:
            if ledger is not None and not has_work:
                ledger.idle(engine)

        heartbeat = Heartbeat(
            self._launched.engines.processes[engine].pid,
            ask=lambda: client._call_utility_async("has_work", engine=identity),
            steps_since=partial(relay.steps_since, engine),
            on_answer=on_answer,
            on_suspicion=partial(self._suspect, relay, engine),
            is_on_gpu=gpu_use.of_engine(engine, self._launched.config.parallel_config.world_size),
        )
        self._lose(await heartbeat.until_lost(self._spec.heartbeat_s, self._spec.heartbeat_timeout_s))

    def _suspect(self, relay: Relay, engine: int, why: str | None) -> None:
        """While an engine is suspicious no stub gets in, and the supervisor takes the models out of Triton."""
        if why is not None:
            log.warning("engine %d: %s", engine, why)
            self._suspicions[engine] = why
            relay.pause()
            status.report(status.Unready(why))
            return
        log.info("engine %d answers again", engine)
        del self._suspicions[engine]
        if not self._suspicions:
            relay.resume()
            if self._announced is not None:
                status.report(self._announced)

    def _watch_children(self, loop: asyncio.AbstractEventLoop) -> None:
        for name, sentinel in self._sentinels():
            loop.add_reader(sentinel, self._child_ended, loop, name, sentinel)

    def _sentinels(self) -> list[tuple[str, int]]:
        engines = [(process.name, process.sentinel) for process in self._launched.engines.processes]
        return [*engines, ("the OpenAI server", self._launched.openai.process.sentinel)]

    def _child_ended(self, loop: asyncio.AbstractEventLoop, name: str, sentinel: int) -> None:
        loop.remove_reader(sentinel)
        if not self._stopping.is_set():
            self._lose(f"{name} has died")

    def _lose(self, why: str) -> None:
        """The supervisor hears it before the children have ended, which takes a while; so do the OpenAI clients."""
        log.error("%s", why)
        self._lost = why
        status.report(status.Unready(why, is_lost=True))
        self._launched.openai.tell_lost()
        self._stopping.set()


async def _has_work(client: AsyncMPClient) -> bool:
    return any([await client._call_utility_async("has_work", engine=engine) for engine in client.core_engines])


async def _abort_all(client: AsyncMPClient) -> None:
    """All requests of both slots; the engines take no others after it."""
    for engine in client.core_engines:
        await client._call_utility_async("pause_scheduler", "abort", False, engine=engine)


def _stop(launched: Launched, *, politely: bool) -> None:
    """Ends the children; bounded. What is lost is not asked: a stopped process would not hear it."""
    server = launched.openai.process
    if politely:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGTERM)
    else:
        for engine in launched.engines.processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(engine.pid, signal.SIGKILL)
        launched.openai.end_lost()
    launched.engines.shutdown(timeout=3)
    if launched.coordinator is not None:
        launched.coordinator.shutdown(timeout=1)
    if not connection.wait([server.sentinel], timeout=3):
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGKILL)
        connection.wait([server.sentinel], timeout=3)
