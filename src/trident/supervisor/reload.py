"""Exchanges the engine of MODEL while the server runs: beside the old one where there is room, else after it."""

from __future__ import annotations

import logging
from asyncio import Event
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from trident.config.models import Config
from trident.errors import EngineStartFailed
from trident.models.resolve import ResolvedModel
from trident.protocol import orders
from trident.supervisor import changes, exchange, room
from trident.supervisor.child import Child
from trident.supervisor.drain import drain
from trident.supervisor.exchange import Exchange
from trident.supervisor.group import Group, Member
from trident.supervisor.run_directory import RunDirectory

log = logging.getLogger(__name__)

Say = Callable[[str], None]
NEW, OLD = "new engine host", "old engine host"


@dataclass(frozen=True)
class Engine:
    """What an engine is started with; ``config`` has its folder, which the ``number``-th of a server has."""

    config: Config
    model: ResolvedModel
    number: int = 0


@dataclass(frozen=True)
class Way:
    """How it will be done: ``says`` what happens and why, in lines for a user."""

    kind: Literal["nothing", "no engine", "side by side", "stop first"]
    says: list[str]


class Reload:
    """All reloads of one server, one after the other: ``is_under_way`` is the caller's. ``force`` ends its waits."""

    def __init__(self, engine: Engine, group: Group, seam: Exchange, logs: Path, force: Event) -> None:
        self.engine = engine
        self.is_under_way = False
        self._group = group
        self._seam = seam
        self._logs = logs
        self._force = force
        self._count = 0
        self._folders: dict[int, RunDirectory] = {}

    def way(self, config: Config, model: ResolvedModel, *, stops_first: bool) -> Way:
        """Touches nothing. Raises ConfigurationError for what cannot be changed."""
        before = self.engine
        found = changes.check(_named(before.config, config.name), config)
        if not found:
            return Way("nothing", ["nothing has changed"])
        says = [str(change) for change in found]
        if not any(change.needs_engine for change in found):
            return Way("no engine", [*says, "the engine stays as it is"])
        limit = f"{config.supervision.drain_s:g} s"
        why = "asked for" if stops_first else self._lacking(config, model)
        if why is None:
            done = f"side by side: the old engine serves until the new one is ready, then has {limit} to finish"
            return Way("side by side", [*says, done])
        done = (
            f"the old engine stops before the new one starts, as {why}"
            if not stops_first
            else "the old engine stops first"
        )
        rest = f"requests are refused meanwhile; those in flight have {limit} to finish"
        return Way("stop first", [*says, done, rest])

    async def carry_out(self, way: Way, config: Config, model: ResolvedModel, say: Say) -> None:
        """``say`` gets each step as it begins. Raises EngineStartFailed when the new engine does not start: the old one
        serves then."""
        member = self._group.engine
        assert member is not None
        async with member.exchange:
            if way.kind == "no engine":
                self.engine = replace(self.engine, config=_named(config, self.engine.config.name))
            elif way.kind == "side by side":
                await self._side_by_side(member, config, model, say)
            else:
                await self._stop_then_start(member, config, model, say)
            self._group.supervision = config.supervision

    def close(self) -> None:
        """The server has stopped: removes what its last engine leaves."""
        for folder in self._folders.values():
            folder.release()

    def _lacking(self, config: Config, model: ResolvedModel) -> str | None:
        member, before = self._group.engine, self.engine
        if member is None:
            return "there is no engine"
        growth_bytes = room.weights_bytes(model.path) - room.weights_bytes(before.model.path)
        return self._seam.lacking(member.child, before.config, config, growth_bytes)

    async def _side_by_side(self, member: Member, config: Config, model: ResolvedModel, say: Say) -> None:
        self._count += 1
        new = Engine(exchange.folder_config(config, self._count), model, self._count)
        folder = RunDirectory(new.config)
        folder.acquire()
        self._folders[new.number] = folder
        command = self._seam.command(new.config, model, self._logs / f"engine-{new.number}.log")
        coming = self._group.take_beside(replace(command, name=NEW))
        say("the new engine is starting beside the old one")
        try:
            coming.start()
            await coming.child.wait_until_ready(config.supervision.start_timeout_s)
            say("the new engine is ready, and Triton goes over to it")
            await self._lead(config, new)
        except Exception:
            await self._end(coming, config)
            self._release(new)
            raise
        self._group.leave_out(coming)
        going = self._group.take_beside(replace(member.command, name=OLD), member.put_in(coming.child, command))
        old, self.engine = self.engine, new
        say("new requests go to the new engine, and the old one finishes what it has")
        await drain([going.child], orders.HAND_OVER, config.supervision.drain_s, self._force)
        await self._end(going, config)
        self._release(old)

    async def _end(self, member: Member, config: Config) -> None:
        """When a stop of the server comes in between, the group has it still."""
        await member.child.stop(config.supervision.stop_timeout_s, self._force)
        self._group.leave_out(member)

    def _release(self, engine: Engine) -> None:
        folder = self._folders.pop(engine.number, None)
        if folder is not None:
            folder.release()

    async def _lead(self, config: Config, new: Engine) -> None:
        try:
            await self._seam.redirect(config, new.config)
        except Exception:
            await self._seam.redirect(config, self.engine.config)
            raise

    async def _stop_then_start(self, member: Member, config: Config, model: ResolvedModel, say: Say) -> None:
        before = self.engine
        new = Engine(exchange.folder_config(config, before.number), model, before.number)
        say("the old engine takes nothing new and finishes what it has")
        # A stub keeps what a lost engine has not finished and hands it to the next one, if that has the same model.
        is_same_model = before.model == model
        await drain([member.child], orders.REFUSE, config.supervision.drain_s, self._force, expels=not is_same_model)
        try:
            say("the new engine is starting")
            await self._put_in(member, new)
            self.engine = new
        except EngineStartFailed as error:
            log.error("the new engine does not start: %s", error)
            say("the new engine does not start, and the old one is started again")
            await self._put_in(member, before)
            raise

    async def _put_in(self, member: Member, engine: Engine) -> None:
        supervision = engine.config.supervision
        command = self._seam.command(engine.config, engine.model, member.command.log_path)
        going = replace(member.command, name=OLD)
        old = self._group.take_beside(going, member.put_in(Child(command, self._group.on_change), command))
        await self._end(old, engine.config)
        member.child.start()
        await member.child.wait_until_ready(supervision.start_timeout_s)


def _named(config: Config, name: str) -> Config:
    return config.model_copy(update={"name": name})
