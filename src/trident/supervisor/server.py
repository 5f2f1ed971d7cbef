"""One server: prepare → start → ready → watch → drain → stop. The same in a terminal and detached."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from trident.config.models import Config
from trident.errors import ConfigurationError, EngineStartFailed, TridentError
from trident.models.resolve import ResolvedModel
from trident.protocol import orders
from trident.supervisor import changes, control, drain, exchange, launch, log_file, ports, signals
from trident.supervisor.absence import Absence
from trident.supervisor.attendants import Attendants
from trident.supervisor.control import Control, Say, Wanted
from trident.supervisor.door_probe import doors_of
from trident.supervisor.doors import Answer, asked_doors
from trident.supervisor.group import Group
from trident.supervisor.keeper import Keeper
from trident.supervisor.plan import Plan, Planner
from trident.supervisor.processes import Process, identify
from trident.supervisor.reach import http_json
from trident.supervisor.reload import Reload, Way
from trident.supervisor.run_directory import RunDirectory
from trident.supervisor.state import DoorState, ErrorState, ServerPhase, ServerState

log = logging.getLogger(__name__)

DOOR_TIMEOUT_S = 120.0
DOOR_RETRY_S = 5.0
FOLLOW_S = 1.0
LINGER_S = 60.0
"""An engine of the user's repositories waits so long for the stubs of a new tritonserver."""


class Server:
    """``on_change`` gets the whole state at each change; ``run`` is called once, in the main thread."""

    def __init__(self, config: Config, planner: Planner, on_change: Callable[[ServerState], None]) -> None:
        self._config = config
        self._planner = planner
        self._on_change = on_change
        self._directory = RunDirectory(config, planner.shm_prefix)
        self._plan = Plan([])
        self._group: Group | None = None
        self._keeper: Keeper | None = None
        self._absence: Absence | None = None
        self._attendants: Attendants | None = None
        self._phase: ServerPhase = "starting"
        self._started = self._since = time.time()
        self._note = ""
        self._doors: dict[str, DoorState] = {}
        self._error: ErrorState | None = None
        self._process = identify(os.getpid()) or Process(os.getpid(), 0)
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._change = asyncio.Event()
        self._is_clean = False
        self._control = Control(self._obey)
        self._reload: Reload | None = None

    async def run(self) -> None:
        """Serves until SIGINT, SIGTERM or SIGHUP; a second one forces. Raises TridentError when it cannot start, or
        when it has failed; in both cases everything has been stopped and removed before."""
        ports.probe(self._config)
        self._directory.acquire()
        try:
            with log_file.writing(self._directory.logs), signals.taken(self._take_signal):
                try:
                    await self._serve()
                    self._is_clean = True
                except TridentError as error:
                    log.error("%s", error)
                    self._error = ErrorState.of(error)
                    raise
                finally:
                    await self._stop_all()
        finally:
            self._directory.release()

    async def _serve(self) -> None:
        self._plan = self._planner(self._directory.logs)
        self._group = Group(self._plan.children, self._config.supervision, self._changed)
        if self._plan.keeper is not None:
            is_withdrawn = self._plan.shelf.holds if self._plan.shelf else lambda _: False
            self._keeper = Keeper(
                self._config, self._directory.logs, self._changed, linger_s=LINGER_S, is_withdrawn=is_withdrawn
            )
            await self._keeper.listen(self._plan.keeper)
        self._absence = Absence(self._plan, self._group, self._keeper)
        if self._plan.exchange and self._plan.engine:
            exchange.clear(self._config)
            logs = self._directory.logs
            self._reload = Reload(self._plan.engine, self._group, self._plan.exchange, logs, self._force)
        await self._control.listen(self._directory.sockets / control.FILE_NAME)
        self._attendants = Attendants(self._plan.attendants, self._config.supervision, self._changed)
        self._enter("starting")
        self._attendants.start()
        if await self._unless_stopped(self._start(self._group)):
            await self._unless_stopped(self._watch(self._group))

    async def _start(self, group: Group) -> None:
        if self._plan.doors:
            await self._plan.doors.prepare()
        await group.start()
        await self._knock()
        self._enter("ready")

    async def _watch(self, group: Group) -> None:
        beside = [asyncio.ensure_future(self._follow_health(group))]
        if self._plan.follow_repositories is not None:
            beside.append(asyncio.ensure_future(self._follow_repositories(self._plan.follow_repositories)))
        try:
            await group.watch()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _follow_repositories(self, follow: Callable[[], None]) -> None:
        """A client may load what the user has put into his repository since the start."""
        complaint = ""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                await asyncio.to_thread(follow)
            except (TridentError, OSError) as error:
                if complaint != str(error):
                    complaint = str(error)
                    log.warning("the repositories cannot be followed: %s", complaint)

    async def _follow_health(self, group: Group) -> None:
        """After a restart the server is ready again only when every door has answered again."""
        while True:
            await self._until(lambda: not self._is_whole(group))
            self._enter("degraded")
            while self._phase == "degraded":
                await self._until(lambda: self._is_whole(group))
                if self._plan.shelf:
                    await self._plan.shelf.until_returned(DOOR_TIMEOUT_S)
                try:
                    await self._knock()
                except EngineStartFailed as error:
                    self._say(f"{error.what}: {error.why}")
                    await asyncio.sleep(DOOR_RETRY_S)
                except Exception:  # nobody else would see it, and the server stay degraded for ever
                    log.exception("nobody can ask at the doors")
                    await asyncio.sleep(DOOR_RETRY_S)
                else:
                    if self._is_whole(group):
                        self._enter("ready")

    def _is_whole(self, group: Group) -> bool:
        return group.is_ready and not (self._keeper is not None and self._keeper.is_lost)

    async def _knock(self) -> None:
        if self._plan.doors is None:
            return
        timeout_s = min(DOOR_TIMEOUT_S, self._config.supervision.start_timeout_s)
        kept = self._keeper.tasks if self._keeper else {}
        doors = doors_of(self._config, timeout_s, self.state.tasks, kept, await self._unloaded())
        self._doors = {name: DoorState(name=name, ok=False) for name in asked_doors(doors)}
        self._changed()
        if self._doors:
            await self._plan.doors.run(doors, self._take_answer)

    async def _unloaded(self) -> list[str]:
        """Models that a client has unloaded, so that nobody expects an answer of them."""
        if self._config.triton.model_control_mode != "explicit":
            return []
        http = self._config.places.http.local
        try:
            _, index = await http_json(http.host, http.port, "/v2/repository/index", {})
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            return []  # the doors will say it
        return [model["name"] for model in index if model.get("reason") == "unloaded"]

    def _take_answer(self, answer: Answer) -> None:
        log.info("%s: %s in %.3f s", answer.name, answer.why or "answered", answer.seconds)
        self._doors[answer.name] = DoorState(
            name=answer.name, ok=not answer.why, seconds=answer.seconds, why=answer.why
        )
        self._changed()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """False when a signal came first."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
            return task.done()
        finally:
            task.cancel()
            stop.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)

    async def _obey(self, wanted: Wanted, say: Say) -> None:
        """A reload: what will be done and why is said before anything is touched."""
        config, model = launch.revived(wanted.told)
        changes.check(self._config, config)
        if self._reload is None or model is None or self._phase not in ("ready", "degraded"):
            raise _cannot_reload(f"the server is {self._phase}")
        if self._reload.is_under_way:
            raise _cannot_reload("another reload is under way")
        self._reload.is_under_way = True
        try:
            way = await asyncio.to_thread(self._reload.way, config, model, stops_first=wanted.stops_first)
            for line in way.says:
                say(line)
            if not wanted.is_dry_run and way.kind != "nothing":
                await self._carry_out(self._reload, way, config, model, say)
        finally:
            self._reload.is_under_way = False

    async def _carry_out(self, reload: Reload, way: Way, config: Config, model: ResolvedModel, say: Say) -> None:
        def say_everywhere(step: str) -> None:
            log.info("reload: %s", step)
            self._say(f"reload: {step}")
            say(step)

        try:
            await reload.carry_out(way, config, model, say_everywhere)
        finally:
            self._say("")
        self._config, self._plan = config, replace(self._plan, model=launch.described(model))
        self._directory.write_config(config)
        self._changed()
        if way.kind == "side by side":
            await self._knock()
        elif way.kind == "stop first" and not await self._in_time(self._until(lambda: self._phase == "ready")):
            raise EngineStartFailed("The server is not ready after the reload", self._note, "see trident status")

    async def _in_time(self, work: Coroutine[Any, Any, None]) -> bool:
        try:
            await asyncio.wait_for(work, DOOR_TIMEOUT_S)
        except asyncio.TimeoutError:
            return False
        return True

    async def _drain(self) -> None:
        hosts = [*(self._group.drainable if self._group else ()), *(self._keeper.drainable if self._keeper else ())]
        limit_s = self._config.supervision.drain_s
        await drain.drain(hosts, orders.REFUSE, limit_s, self._force, on_wait=self._leave_service)

    def _leave_service(self) -> None:
        self._enter("draining")
        limit_s = self._config.supervision.drain_s
        self._say(f"what is in flight gets up to {limit_s:g} s to finish; a second signal (Ctrl-C) ends it at once")
        if self._plan.shelf:
            kept = self._keeper.models if self._keeper else ()
            # Held, so that nothing brings them back: a stub that dies now, or an engine that hesitates.
            self._plan.shelf.hold([*self._config.own_models, *kept], "the server stops")

    def _say(self, note: str) -> None:
        self._note = note
        self._changed()

    async def _stop_all(self) -> None:
        await self._control.close()
        if self._is_clean:
            await self._drain()
        self._directory.say_farewell()
        self._enter("stopping")
        if self._plan.doors:
            await self._plan.doors.close()
        if self._attendants:
            await self._attendants.stop(self._force)
        if self._group:
            await self._group.stop(self._force)
        if self._keeper:
            await self._keeper.stop(self._force)
        if self._reload:
            self._reload.close()
        self._enter("stopped" if self._is_clean else "failed")

    def _take_signal(self, name: str) -> None:
        log.info("%s received", name)
        if self._stop.is_set():
            self._force.set()
        self._stop.set()

    def _enter(self, phase: ServerPhase) -> None:
        log.info("server is %s", phase)
        self._phase, self._since, self._note = phase, time.time(), ""
        self._changed()

    def _changed(self) -> None:
        state = self.state
        try:
            state.save(self._directory.path)
        except OSError as error:  # a full disk must not end a server that works, nor keep it from being stopped
            log.error("state.json cannot be written: %s", error)
        self._on_change(state)
        if self._absence:
            is_serving = self._phase in ("ready", "degraded") and not self._stop.is_set()
            self._absence.tend(is_serving=is_serving)
        self._change.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._change.clear()
            await self._change.wait()

    @property
    def state(self) -> ServerState:
        """All that is known now."""
        return ServerState(
            name=self._config.name,
            run_dir=str(self._directory.path),
            process=self._process,
            started=self._started,
            phase=self._phase,
            since=self._since,
            note=self._note,
            children=[
                *(member.state for member in (self._group.shown if self._group else [])),
                *(self._keeper.states if self._keeper else []),
                *(self._attendants.states if self._attendants else []),
            ],
            doors=list(self._doors.values()),
            urls=urls(self._config) | (self._keeper.urls if self._keeper else {}) | self._plan.attendant_urls,
            model=self._plan.model,
            versions=self._plan.versions,
            error=self._error,
        )


def urls(config: Config) -> dict[str, str]:
    """Where clients on this machine find each door."""
    listen = config.listen
    host, http = listen.url_host, config.url_scheme
    all_of_them = {
        "KServe HTTP": f"{http}://{host}:{listen.http_port}",
        "KServe gRPC": f"{host}:{listen.grpc_port}",
        "Triton metrics": f"{http}://{host}:{listen.metrics_port}/metrics",
        "OpenAI": f"{http}://{host}:{listen.openai_port}/v1",
    }
    return {door: url for door, url in all_of_them.items() if door in config.ports}


def _cannot_reload(why: str) -> ConfigurationError:
    return ConfigurationError("A reload is not possible now", why, "see trident status, and try again")
