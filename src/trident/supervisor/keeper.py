"""Keeps the engine hosts of a repository's models for the stubs that lease them (``protocol/lease.py``)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from trident.config import paths
from trident.config.models import Config
from trident.errors import ConfigurationError, TridentError
from trident.protocol.lease import GOODBYE, Answer, Granted, Refused, Want
from trident.supervisor import kept_engine, ports
from trident.supervisor.child import Child
from trident.supervisor.kept_engine import KeptEngine, Order
from trident.supervisor.state import OPENAI_OF, ChildState

log = logging.getLogger(__name__)

FIRST_OPENAI_PORT = 9001
LONGEST_WANT_BYTES = 1 << 20
WITHDRAWN_S = 1.0
"""How often it is asked whether a model without stubs is still withdrawn."""


class Keeper:
    """``linger_s`` is how long an engine whose stubs were killed waits for others: a new life of tritonserver wants it
    again. ``is_withdrawn`` says of a model that it has no stubs now and will get some again. ``on_change`` is called
    when an engine comes, goes or changes."""

    def __init__(
        self,
        config: Config,
        logs: Path,
        on_change: Callable[[], None],
        *,
        linger_s: float = 0.0,
        is_withdrawn: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.engines: list[KeptEngine] = []
        self.conversations = 0
        self._config = config
        self._logs = logs
        self._on_change = on_change
        self._linger_s = linger_s
        self._is_withdrawn = is_withdrawn
        self._force = asyncio.Event()
        self._server: asyncio.AbstractServer | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._starts: dict[KeptEngine, asyncio.Task[None]] = {}
        self._one_by_one = asyncio.Lock()

    @property
    def states(self) -> list[ChildState]:
        """The hosts, for ``state.json``."""
        return [state for engine in self.engines for state in engine.states]

    @property
    def drainable(self) -> list[Child]:
        """Those that can be drained."""
        return [host for engine in self.engines for host in engine.drainable]

    @property
    def models(self) -> set[str]:
        """Triton's names of what they serve."""
        return {model for engine in self.engines for model in engine.models}

    @property
    def hosts(self) -> list[Child]:
        """The same as children."""
        return [host for engine in self.engines for host in engine.hosts]

    @property
    def tasks(self) -> dict[str, list[str]]:
        """What the models that engines are called after do, in vLLM's words."""
        return {
            engine.order.want.engine: engine.tasks
            for engine in self.engines
            if engine.leases and engine.order.want.engine in engine.models
        }

    @property
    def losses(self) -> dict[str, bool]:
        """By model, whether its engine has served and does not serve stubs now. One that starts is not here."""
        lost = {model: True for engine in self.engines if engine.is_lost for model in engine.models}
        serving = {model: False for engine in self.engines if engine.serves_stubs for model in engine.models}
        return lost | serving

    @property
    def urls(self) -> dict[str, str]:
        """OpenAI doors of the models by name."""
        host, http = self._config.listen.url_host, self._config.url_scheme
        return {f"{OPENAI_OF}{engine.label}": f"{http}://{host}:{engine.port}/v1" for engine in self.engines}

    @property
    def is_lost(self) -> bool:
        """An engine that has served does not now."""
        return any(engine.is_lost for engine in self.engines)

    async def listen(self, path: Path) -> None:
        """Serves stubs at the socket from now on; its folder must be there and this user's alone. Who calls it holds
        the server's lock, so engines of an earlier run are dead and only their files can be there."""
        for folder in (self._config.run_dir / "engines").glob("*"):
            shutil.rmtree(paths.sockets_dir(folder), ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
        self._server = await asyncio.start_unix_server(self._talk, path, limit=LONGEST_WANT_BYTES)

    async def stop(self, force: asyncio.Event) -> None:
        """Hangs up and stops every engine."""
        self._force = force
        if self._server is not None:
            self._server.close()
        for task in (*self._talks, *self._starts.values()):
            task.cancel()
        await asyncio.gather(*self._talks, *self._starts.values(), return_exceptions=True)
        await asyncio.gather(*(self._end(engine) for engine in list(self.engines)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        self.conversations += 1
        try:
            await self._serve(reader, writer)
        except (msgspec.DecodeError, ConnectionError, ValueError) as error:
            log.warning("a stub was not understood: %s", error)
        except asyncio.CancelledError:
            log.info("a stub's lease ends with the keeper")  # not re-raised: asyncio would log it as a failure
        finally:
            self._talks.discard(task)
            self.conversations -= 1
            writer.close()
            self._on_change()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        want = msgspec.json.decode(await reader.readline(), type=Want)
        try:
            order = await asyncio.to_thread(kept_engine.order, want, self._config)
            engine = self._take(order)
        except TridentError as error:
            log.error("%s version %s: %s", want.model, want.version, error)
            return await _answer(writer, Refused(error.what, error.why, error.next_step))
        except OSError as error:
            return await _answer(writer, Refused(f"Cannot read {want.folder}", str(error), "make it readable"))
        hung_up, said_goodbye = asyncio.ensure_future(reader.read()), False
        try:
            await asyncio.wait((hung_up, self._starts[engine]), return_when=asyncio.FIRST_COMPLETED)
            if not hung_up.done():
                await _answer(writer, _outcome(engine, self._starts[engine]))
            said_goodbye = (await hung_up).endswith(GOODBYE)
        except ConnectionError:
            log.info("a stub of %s has been killed", want.model)
        finally:
            hung_up.cancel()
        return await self._give_back(engine, linger=not said_goodbye and engine.is_ready)

    def _take(self, order: Order) -> KeptEngine:
        """The engine that was ordered, with one lease more; it is started if none is there."""
        usable = [engine for engine in self.engines if not engine.is_ending and engine.error is None]
        engine = next((engine for engine in usable if engine.order.key == order.key), None)
        if engine is None:
            engine = KeptEngine(order, self._config, self._label(order), self._port(order), self._logs, self._on_change)
            self.engines.append(engine)
            self.engines.sort(key=lambda engine: engine.label)
            self._starts[engine] = asyncio.ensure_future(self._start(engine))
        engine.leases += 1
        engine.models.add(order.want.model)
        return engine

    async def _start(self, engine: KeptEngine) -> None:
        for other in list(self.engines):
            if other.is_ending and other.order.want.engine == engine.order.want.engine:
                await other.ended.wait()  # it still holds the memory that this one needs
        if engine.order.env.build == "cpu":
            return await engine.start()
        # On a GPU vLLM measures what memory is free: two starts at once would count each other's.
        async with self._one_by_one:
            return await engine.start()

    async def _give_back(self, engine: KeptEngine, *, linger: bool) -> None:
        engine.leases -= 1
        if linger and self._linger_s and not engine.leases:
            await asyncio.sleep(self._linger_s)
        while not engine.leases and any(map(self._is_withdrawn, engine.models)):  # noqa: ASYNC110
            await asyncio.sleep(WITHDRAWN_S)
        if not engine.leases and not engine.is_ending:
            await self._end(engine)

    async def _end(self, engine: KeptEngine) -> None:
        engine.is_ending = True
        self._starts[engine].cancel()
        await asyncio.gather(self._starts[engine], return_exceptions=True)
        await engine.stop(self._force)
        if engine in self.engines:  # else its last stub and the end of the keeper have come together
            self.engines.remove(engine)
            del self._starts[engine]
            self._on_change()

    def _label(self, order: Order) -> str:
        """The model's name; a later engine of it, which runs beside the one that it replaces, gets a number."""
        want, taken = order.want, {engine.label for engine in self.engines}
        name = want.engine if want.version == "1" else f"{want.engine}-v{want.version}"
        return next(label for label in _numbered(name) if label not in taken)

    def _port(self, order: Order) -> int:
        taken = {engine.port for engine in self.engines} | set(self._config.listen.ports.values())
        wanted, host = order.asked.openai_port, self._config.listen.host
        if wanted is None:
            return ports.first_free(host, FIRST_OPENAI_PORT, taken)
        if wanted in taken or not ports.is_free(host, wanted):
            raise ConfigurationError(
                f"Port {wanted} for OpenAI is busy",
                f"the model {order.want.model} asks for it in its parameter OPENAI_PORT",
                "leave that out, or unload first what has the port",
            )
        return wanted


def _outcome(engine: KeptEngine, start: asyncio.Task[None]) -> Answer:
    error = start.exception()
    if error is None:
        return Granted(engine.stub)
    if isinstance(error, TridentError):
        log.error("engine %s: %s", engine.label, error)
        return Refused(error.what, error.why, error.next_step)
    log.error("engine %s", engine.label, exc_info=error)
    return Refused(
        f"The engine of {engine.label} cannot be started", str(error), "see the log: trident logs supervisor"
    )


async def _answer(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(msgspec.json.encode(answer) + b"\n")
    await writer.drain()


def _numbered(name: str) -> itertools.chain[str]:
    return itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
