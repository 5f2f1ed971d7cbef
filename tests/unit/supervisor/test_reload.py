"""Reloads of a server whose engine is a child of a few lines, asked over the server's own socket."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import supervisor_fakes as fakes

from trident.config.models import Config
from trident.models.resolve import ResolvedModel
from trident.supervisor import control, launch, state
from trident.supervisor.control import Answer, Done, Refused, Says, Wanted
from trident.supervisor.reload import Engine
from trident.supervisor.server import Server
from trident.supervisor.stand_in import StandIn
from trident.supervisor.state import ChildState, ServerState

MODEL = ResolvedModel(Path("/nowhere"), "fake", "folder")


def config(**engine: Any) -> Config:
    doors = ("http_port", "grpc_port", "metrics_port", "openai_port")
    free = dict(zip(doors, fakes.free_ports(4), strict=True))
    values = {"listen": free, "engine": engine, "supervision": {"stop_timeout_s": 5, "drain_s": 0.3}}
    return Config.model_validate(values)


class Serving:
    """The server's states, and how it is asked."""

    def __init__(self, of: Config, states: list[ServerState], stood_in: list[tuple[str, str]]) -> None:
        self.config = of
        self.states = states
        self.stood_in = stood_in
        """The phases of server and engine while somebody stood in for it."""

    async def ask(self, changed: dict[str, Any], **more: bool) -> list[Answer]:
        wanted = Wanted(told=launch.told(self.config.model_copy(update=changed), MODEL), **more)
        path = self.config.sockets_dir / control.FILE_NAME
        return await asyncio.to_thread(lambda: list(control.ask(path, wanted)))

    @property
    def engine(self) -> ChildState:
        return self.states[-1].children[0]


def serve(of: Config, seam: fakes.FakeExchange, meanwhile: Callable[[Serving], Coroutine[Any, Any, None]]) -> Serving:
    states: list[ServerState] = []
    stood_in: list[tuple[str, str]] = []

    async def scenario() -> None:
        standing_in = StandIn("127.0.0.1", of.listen.openai_port)

        def note(now: ServerState) -> None:
            states.append(now)
            if standing_in.is_open:
                stood_in.append((now.phase, now.children[0].phase))

        planner = fakes.FakePlanner(
            lambda logs: [seam.command(of, MODEL, logs / "engine.log")], seam, Engine(of, MODEL), standing_in
        )
        running = asyncio.ensure_future(Server(of, planner, note).run())
        await fakes.until(lambda: states and states[-1].phase == "ready")
        try:
            await meanwhile(Serving(of, states, stood_in))
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            await running

    fakes.run(scenario(), limit_s=30)
    assert states[-1].phase == "stopped"
    return Serving(of, states, stood_in)


def said(answers: list[Answer]) -> list[str]:
    return [answer.text for answer in answers if isinstance(answer, Says)]


def refusal(answers: list[Answer]) -> str:
    assert isinstance(answers[-1], Refused)
    return f"{answers[-1].error.what}: {answers[-1].error.why}"


def test_side_by_side_the_old_engine_serves_until_the_new_one_is_ready() -> None:
    seam = fakes.FakeExchange()

    async def meanwhile(server: Serving) -> None:
        old = server.engine.process
        answers = await server.ask({"engine": {"size": 2}})
        assert answers[-1] == Done()
        assert said(answers)[:2] == [
            "engine.size: not set → 2",
            "side by side: the old engine serves until the new one is ready, then has 0.3 s to finish",
        ]
        assert server.engine.process != old and server.engine.facts == {"arguments": ["size=2"]}
        assert seam.redirects == ["default/reloads/1"]
        assert [child.name for child in server.states[-1].children] == ["engine host"]
        assert old is not None and not old.is_running()
        assert server.engine.restarts == 0
        saved = Config.model_validate_json((server.config.run_dir / "config.json").read_bytes())
        assert (saved.name, saved.engine) == ("default", {"size": 2})

    server = serve(config(), seam, meanwhile)
    states = server.states
    assert server.stood_in == []
    assert "degraded" not in [now.phase for now in states]
    assert any("new engine host" in [child.name for child in now.children] for now in states)
    assert "reload: the new engine is starting beside the old one" in [now.note for now in states]


def test_engine_dies_after_a_reload_and_is_started_again_as_the_new_one() -> None:
    async def meanwhile(server: Serving) -> None:
        await server.ask({"engine": {"size": 2}})
        before = server.engine.process
        assert before is not None
        os.kill(before.pid, signal.SIGKILL)
        await fakes.until(lambda: server.engine.restarts == 1 and server.engine.is_ready)
        assert server.engine.facts == {"arguments": ["size=2"]}

    serve(config(), fakes.FakeExchange(), meanwhile)


def test_new_engine_that_cannot_start_leaves_the_old_one_serving() -> None:
    seam = fakes.FakeExchange()

    async def meanwhile(server: Serving) -> None:
        old = server.engine
        assert refusal(await server.ask({"engine": {"fails": True}})) == "No such model: it is gone"
        assert server.engine.process == old.process and server.states[-1].phase == "ready"
        assert (await server.ask({"engine": {"size": 3}}))[-1] == Done(), "the next one is not hindered"

    states = serve(config(), seam, meanwhile).states
    assert seam.redirects == ["default/reloads/2"]
    assert "degraded" not in [now.phase for now in states]


def test_without_room_the_old_engine_stops_first_and_that_is_said() -> None:
    seam = fakes.FakeExchange(lacks="a second engine needs more memory than there is")

    async def meanwhile(server: Serving) -> None:
        answers = await server.ask({"engine": {"busy": "busy", "size": 2}})
        assert answers[-1] == Done()
        assert "as a second engine needs more memory than there is" in said(answers)[1]
        assert server.engine.facts == {"arguments": ["busy=busy", "size=2"]}
        assert server.states[-1].phase == "ready"
        assert server.engine.restarts == 0

    server = serve(config(busy="busy"), seam, meanwhile)
    states = server.states
    assert "degraded" in [now.phase for now in states]
    assert server.stood_in and all(engine != "draining" for _, engine in server.stood_in)
    assert seam.redirects == [], "the stubs' engine is where it was"


def test_failed_exchange_brings_the_old_engine_back() -> None:
    async def meanwhile(server: Serving) -> None:
        answers = await server.ask({"engine": {"fails": True}}, stops_first=True)
        assert refusal(answers) == "No such model: it is gone"
        await fakes.until(lambda: server.states[-1].phase == "ready")
        assert server.engine.facts == {"arguments": ["size=1"]}

    serve(config(size=1), fakes.FakeExchange(), meanwhile)


def test_dry_run_says_and_touches_nothing() -> None:
    async def meanwhile(server: Serving) -> None:
        old = server.engine
        answers = await server.ask({"engine": {"size": 2}}, is_dry_run=True)
        assert answers[-1] == Done() and len(said(answers)) == 2
        assert server.engine == old

    serve(config(), fakes.FakeExchange(), meanwhile)


def test_second_reload_is_refused_while_one_is_under_way() -> None:
    async def meanwhile(server: Serving) -> None:
        first = asyncio.ensure_future(server.ask({"engine": {"busy": "busy"}}))
        await fakes.until(lambda: server.states[-1].note)
        assert "another reload is under way" in refusal(await server.ask({"engine": {"size": 3}}))
        assert (await first)[-1] == Done()

    serve(config(), fakes.FakeExchange(), meanwhile)


def test_what_is_fixed_is_refused_before_anything_is_touched() -> None:
    async def meanwhile(server: Serving) -> None:
        old = server.engine
        other = server.config.listen.model_copy(update={"http_port": 1})
        assert "cannot change listen.http_port" in refusal(await server.ask({"listen": other, "engine": {"size": 2}}))
        assert server.engine == old

    serve(config(), fakes.FakeExchange(), meanwhile)


def test_stop_in_the_midst_of_a_reload_leaves_nobody() -> None:
    async def meanwhile(server: Serving) -> None:
        asking = asyncio.ensure_future(server.ask({"engine": {"size": 2}}))
        await fakes.until(lambda: len(server.states[-1].children) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert not isinstance((await asking)[-1], Done)

    server = serve(config(), fakes.FakeExchange(), meanwhile)
    pids = {child.process.pid for now in server.states for child in now.children if child.process}
    assert all(fakes.is_gone(pid) for pid in pids)
    found = state.load(server.config.run_dir)
    assert found is not None and found.phase == "stopped"


def test_nobody_stands_in_for_an_engine_that_drains_in_a_stop() -> None:
    async def meanwhile(_: Serving) -> None:
        pass

    server = serve(config(busy="busy"), fakes.FakeExchange(), meanwhile)
    assert "draining" in [now.phase for now in server.states] and server.stood_in == []


def test_nonsense_on_the_socket_harms_nobody() -> None:
    async def meanwhile(server: Serving) -> None:
        reader, writer = await asyncio.open_unix_connection(server.config.sockets_dir / control.FILE_NAME)
        writer.write(b"nonsense\n")
        assert await reader.read() == b""
        writer.close()
        assert (await server.ask({"engine": {}}))[-1] == Done()

    serve(config(), fakes.FakeExchange(), meanwhile)
