"""One engine host from start to stop: launches, warms up, relays, watches, ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import signal
import time
from multiprocessing import connection
from pathlib import Path

import uvloop
from vllm.v1.engine.core_client import AsyncMPClient, EngineCoreClient
from vllm.v1.engine.exceptions import EngineDeadError

from trident.engine import cause
from trident.engine.intake import Intake
from trident.engine.launch import RELAY_SLOT, SLOTS, Launched, launch
from trident.engine.ledger import Ledger
from trident.engine.lora.adapters import copies_dir
from trident.engine.lora.loader import Loader
from trident.engine.relay import Relay
from trident.protocol import status
from trident.protocol.messages import VERSION, EngineReady, Rejected, Submit
from trident.protocol.spec import HostSpec

log = logging.getLogger("trident.host")

CANNOT_START = 3
WARM_UP_TIMEOUT_S = 600
WARM_UP_TOKENS = 64
"""On some CPU builds a cold worker dies (SIGILL) when its first prefill has 3 tokens; 32 are enough (measured)."""
WARM_UP_SAMPLING = ({"temperature": 0.0}, {"top_p": 0.9}, {"top_p": 0.9, "top_k": 20})
"""The kinds with GPU kernels of their own: the first request of a kind compiles them, and the engine stands still for
two seconds (measured on an H100)."""


def run(spec: HostSpec) -> int:
    """Returns the exit code: 0 told to stop, 1 the engine or the OpenAI server died, 3 cannot start."""
    logging.basicConfig(format="%(levelname)s %(asctime)s %(name)s: %(message)s", level=logging.INFO)
    recorder = cause.Recorder(Path(spec.run_dir) / "engine-start.cause")
    try:
        launched = launch(spec)
    except (Exception, SystemExit) as error:
        log.exception("cannot start")
        why = recorder.recorded() or cause.describe(error)
        status.report(cause.failed("vLLM could not start the engine", why))
        return CANNOT_START
    try:
        return uvloop.run(_Host(spec, launched).run())
    finally:
        _stop(launched)
        shutil.rmtree(copies_dir(spec), ignore_errors=True)


class _Host:
    def __init__(self, spec: HostSpec, launched: Launched) -> None:
        self._spec = spec
        self._launched = launched
        self._stopping = asyncio.Event()
        self._lost: str | None = None

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
            log.error("the engine has died")
            return 1
        finally:
            client.shutdown(timeout=1)

    async def _serve(self, client: AsyncMPClient) -> int:
        launched, spec = self._launched, self._spec
        tasks = await client.get_supported_tasks_async()
        loras = Loader(client, launched.adapters.shelf)
        intake = Intake(launched.config, launched.inputs, launched.chat, tasks, loras)
        engines = launched.config.parallel_config.data_parallel_size
        ledger = Ledger(launched.config, engines) if launched.log_stats else None
        status.report(status.Phase("warming up"))
        launched.chat.warm_up()
        await self._warm_up(client, intake)
        ready = EngineReady(
            version=VERSION,
            epoch=time.time_ns(),
            relay_address=spec.relay_address,
            model_name=spec.served_name,
            max_model_len=launched.config.model_config.max_model_len,
            replicas=engines,
            tokenizer_path=str(launched.tokenizer_path),
        )
        relay = Relay(client, intake, ledger, ready)
        workers = [
            asyncio.ensure_future(relay.serve(spec.relay_address)),
            asyncio.ensure_future(self._heartbeat(client, ledger)),
            asyncio.ensure_future(self._stopping.wait()),
            asyncio.ensure_future(self._announce(ready)),
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
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if self._lost:
            log.error("%s", self._lost)
        return 1 if self._lost else 0

    async def _warm_up(self, client: AsyncMPClient, intake: Intake) -> None:
        """One prefill and two tokens of each kind on each engine; also proves that they answer."""
        config = self._launched.config.model_config
        length = min(WARM_UP_TOKENS, config.max_model_len - 2)
        ids = [1 + i % 50 for i in range(length)]
        replicas = range(self._launched.config.parallel_config.data_parallel_size)
        for replica, kind in itertools.product(replicas, WARM_UP_SAMPLING):
            sampling = {"max_tokens": 2, "ignore_eos": True, "detokenize": False, **kind}
            admitted = await intake.admit(Submit(0, "warm-up", None, ids, sampling, replica=replica))
            if isinstance(admitted, Rejected):
                raise RuntimeError(f"the warm-up request was refused: {admitted.message}")
            (request,) = admitted.requests
            await client.add_request_async(request)
            await asyncio.wait_for(_finished(client), WARM_UP_TIMEOUT_S)

    async def _announce(self, ready: EngineReady) -> None:
        """Tells the supervisor once the OpenAI server answers too."""
        spec = self._spec
        status.report(status.Phase("starting the OpenAI server"))
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(spec.openai_host, spec.openai_host)
        while not await _healthy(host, spec.openai_port):  # noqa: ASYNC110 - another process: nothing to wait on
            await asyncio.sleep(0.1)
        facts = {
            "model": ready.model_name,
            "max_model_len": ready.max_model_len,
            "replicas": ready.replicas,
            "openai_server": self._launched.openai_kind,
            "kv_cache_tokens": self._launched.config.cache_config.kv_cache_size_tokens,
        }
        status.report(status.Ready(facts, self._launched.pids))
        log.info("ready: %s", facts)

    async def _heartbeat(self, client: AsyncMPClient, ledger: Ledger | None) -> None:
        """A round trip through the engine: a process that lives may still be deaf."""
        spec = self._spec
        while True:
            await asyncio.sleep(spec.heartbeat_s)
            try:
                beat = client.call_utility_all_async("has_work")
                have_work = await asyncio.wait_for(beat, spec.heartbeat_timeout_s)
            except asyncio.TimeoutError:
                self._lost = f"the engine has not answered for {spec.heartbeat_timeout_s:g} s"
                self._stopping.set()
                return
            for engine, has_work in enumerate(have_work):
                if ledger is not None and not has_work:
                    ledger.idle(engine)

    def _watch_children(self, loop: asyncio.AbstractEventLoop) -> None:
        for name, sentinel in self._sentinels():
            loop.add_reader(sentinel, self._child_ended, loop, name, sentinel)

    def _sentinels(self) -> list[tuple[str, int]]:
        engines = [(process.name, process.sentinel) for process in self._launched.engines.processes]
        return [*engines, ("the OpenAI server", self._launched.openai_process.sentinel)]

    def _child_ended(self, loop: asyncio.AbstractEventLoop, name: str, sentinel: int) -> None:
        loop.remove_reader(sentinel)
        if not self._stopping.is_set():
            self._lost = f"{name} has died"
            self._stopping.set()


async def _finished(client: AsyncMPClient) -> None:
    while not any(output.finish_reason is not None for output in (await client.get_output_async()).outputs):
        pass


async def _healthy(host: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(b"GET /health HTTP/1.0\r\nHost: trident\r\n\r\n")
        answer = await asyncio.wait_for(reader.readline(), 10)
        return b" 200 " in answer
    except (OSError, asyncio.TimeoutError):
        return False
    finally:
        writer.close()


def _stop(launched: Launched) -> None:
    """Ends the children, politely first; bounded."""
    server = launched.openai_process
    with contextlib.suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGTERM)
    launched.engines.shutdown(timeout=3)
    if launched.coordinator is not None:
        launched.coordinator.shutdown(timeout=1)
    if not connection.wait([server.sentinel], timeout=3):
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGKILL)
        connection.wait([server.sentinel], timeout=3)
