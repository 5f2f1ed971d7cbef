from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import supervisor_fakes as fakes

from trident.config import paths
from trident.config.models import Config
from trident.errors import ModelUnusable
from trident.protocol.lease import GOODBYE, Answer, Granted, Refused, Want
from trident.runtime.engine_env import EngineEnv
from trident.supervisor import engine_host, kept_engine
from trident.supervisor.command import Command
from trident.supervisor.keeper import Keeper
from trident.supervisor.kept_engine import Order
from trident.triton.vllm_model import VllmModel

ENV = EngineEnv(Path("/env"), "cpu", "0", Path("/env/bin/python"), Path("/env/arguments.json"))


@pytest.fixture(autouse=True)
def _small_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameter ``engine`` of a model stands for its model.json; ``body`` is what its host runs."""

    def order(want: Want, _: Config) -> Order:
        if "broken" in want.parameters:
            raise ModelUnusable("Cannot use it", "it is broken", "mend it")
        engine = {"length": want.parameters.get("engine", "")}
        port = want.parameters.get("OPENAI_PORT")
        return Order(want, VllmModel("/weights", engine, {}, None, int(port) if port else None), "/weights", ENV)

    def command(config: Config, spec: object, env: EngineEnv, *, name: str, log_path: Path, **_: str) -> Command:
        del spec, env
        body = fakes.CANNOT if config.engine["length"] == "impossible" else fakes.SERVES
        return replace(fakes.command(log_path.parent, body, name), log_path=log_path, takes_orders=True)

    monkeypatch.setattr(kept_engine, "order", order)
    monkeypatch.setattr(engine_host, "command", command)


class Stub:
    """A stub's side of a lease."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> Answer:
        answer: Answer = msgspec.json.decode(await self.reader.readline(), type=Answer)  # type: ignore[arg-type]
        return answer

    def die(self) -> None:
        self.writer.transport.abort()

    async def unload(self) -> None:
        """Returns when the keeper has hung up."""
        self.writer.write(GOODBYE)
        self.writer.write_eof()
        assert await self.reader.read() == b""
        self.writer.close()


class Kept:
    def __init__(self, keeper: Keeper, path: Path) -> None:
        self.keeper = keeper
        self._path = path
        self.stubs: list[Stub] = []

    async def stub(self, model: str = "m", called: str = "", **parameters: str) -> Stub:
        name = called or model
        want = Want(
            model=model, engine=name, version="1", folder="/r", parameters=parameters, kind="KIND_CPU", device=0
        )
        stub = Stub(*await asyncio.open_unix_connection(self._path))
        stub.writer.write(msgspec.json.encode(want) + b"\n")
        self.stubs.append(stub)
        return stub

    def pids(self) -> list[int]:
        return [state.process.pid for state in self.keeper.states if state.process]


@contextlib.asynccontextmanager
async def keeping(tmp_path: Path, *, has_gateway: bool = False, **more: Any) -> AsyncIterator[Kept]:
    config = Config.model_validate({"supervision": {"stop_timeout_s": 5}, "security": {"gateway": has_gateway}})
    keeper = Keeper(config, tmp_path, lambda: None, **more)
    await keeper.listen(tmp_path / "keeper.sock")
    kept = Kept(keeper, tmp_path / "keeper.sock")
    try:
        yield kept
    finally:
        for stub in kept.stubs:
            stub.writer.close()
        await keeper.stop(asyncio.Event())
        assert keeper.engines == []


def scenario(tmp_path: Path, linger_s: float = 0.0) -> Callable[[Callable[[Kept], object]], None]:
    def run(body: Callable[[Kept], object]) -> None:
        async def whole() -> None:
            async with keeping(tmp_path, linger_s=linger_s) as kept:
                await body(kept)  # type: ignore[misc]

        fakes.run(whole())

    return run


def test_stubs_of_one_model_share_its_engine_until_the_last_is_gone(tmp_path: Path) -> None:
    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        one, two = await kept.stub(), await kept.stub()
        answers = [await one.answer(), await two.answer()]
        assert isinstance(answers[0], Granted) and answers[0] == answers[1]
        (pid,) = kept.pids()
        await one.unload()
        assert not fakes.is_gone(pid)
        await two.unload()
        assert fakes.is_gone(pid) and kept.keeper.engines == []


def test_killed_stub_ends_its_lease(tmp_path: Path) -> None:
    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        stub = await kept.stub()
        await stub.answer()
        (pid,) = kept.pids()
        stub.die()
        await fakes.until(lambda: fakes.is_gone(pid))


def test_engine_of_killed_stubs_waits_for_the_next_life_of_tritonserver(tmp_path: Path) -> None:
    @scenario(tmp_path, linger_s=60)
    async def _(kept: Kept) -> None:
        stub = await kept.stub()
        await stub.answer()
        before = kept.pids()
        stub.die()
        await fakes.until(lambda: kept.keeper.engines[0].leases == 0)
        again = await kept.stub()
        await again.answer()
        assert kept.pids() == before
        await again.unload()
        assert kept.pids() == []


def test_new_arguments_get_a_new_engine_beside_the_old(tmp_path: Path) -> None:
    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        old = await kept.stub(engine="1")
        await old.answer()
        new = await kept.stub(engine="2")
        await new.answer()
        assert [engine.label for engine in kept.keeper.engines] == ["m", "m-2"]
        assert len({engine.port for engine in kept.keeper.engines}) == 2
        assert set(kept.keeper.urls) == {"OpenAI of m", "OpenAI of m-2"}
        await old.unload()
        assert [engine.label for engine in kept.keeper.engines] == ["m-2"]
        await new.unload()


def test_models_that_name_the_same_engine_share_it(tmp_path: Path) -> None:
    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        stubs = [await kept.stub("generate"), await kept.stub("recipe", called="generate")]
        answers = [await stub.answer() for stub in stubs]
        assert answers[0] == answers[1]
        assert [engine.label for engine in kept.keeper.engines] == ["generate"]
        assert kept.keeper.losses == {"generate": False, "recipe": False}
        assert list(kept.keeper.tasks) == ["generate"]


def test_engine_of_a_withdrawn_model_lives_on(tmp_path: Path) -> None:
    withdrawn = {"m"}

    async def whole() -> None:
        async with keeping(tmp_path, is_withdrawn=withdrawn.__contains__) as kept:
            stub = await kept.stub()
            await stub.answer()
            (pid,) = kept.pids()
            stub.writer.write(GOODBYE)
            stub.writer.write_eof()
            await fakes.until(lambda: kept.keeper.engines[0].leases == 0)
            assert not fakes.is_gone(pid)
            withdrawn.clear()
            await fakes.until(lambda: fakes.is_gone(pid))

    fakes.run(whole())


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({"broken": "1"}, Refused("Cannot use it", "it is broken", "mend it")),
        ({"engine": "impossible"}, Refused("No such model", "it is gone", "bring it back")),
    ],
    ids=["model", "engine"],
)
def test_cause_is_told_and_nothing_stays(tmp_path: Path, parameters: dict[str, str], refused: Refused) -> None:
    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        stub = await kept.stub(**parameters)
        assert await stub.answer() == refused
        stub.die()
        await fakes.until(lambda: not kept.keeper.engines)


def test_own_port_is_taken_or_refused(tmp_path: Path) -> None:
    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        port = str(fakes.free_port())
        one = await kept.stub("one", OPENAI_PORT=port)
        await one.answer()
        assert kept.keeper.engines[0].port == int(port)
        answer = await (await kept.stub("two", OPENAI_PORT=port)).answer()
        assert isinstance(answer, Refused) and answer.what == f"Port {port} for OpenAI is busy"


def test_what_is_no_stub_ends_nothing(tmp_path: Path) -> None:
    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "keeper.sock")
        writer.write(b"hello\n")
        assert await reader.read() == b""
        writer.close()
        stub = await kept.stub()
        assert isinstance(await stub.answer(), Granted)


def test_files_of_engines_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    folder = Config().run_dir / "engines" / "old"
    sockets = paths.sockets_dir(folder)
    for left in (folder, sockets):
        left.mkdir(parents=True, exist_ok=True)

    @scenario(tmp_path)
    async def _(kept: Kept) -> None:
        assert not folder.exists() and not sockets.exists() and kept.keeper.engines == []


def test_engine_serves_triton_also_while_its_gateway_is_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with keeping(tmp_path, has_gateway=True) as kept:
            stub = await kept.stub()
            assert isinstance(await stub.answer(), Granted)
            gateway, _ = kept.pids()
            assert kept.keeper.losses == {"m": False}
            os.kill(gateway, signal.SIGKILL)
            await fakes.until(lambda: kept.keeper.is_lost)
            assert kept.keeper.losses == {"m": False}, "its model must not leave tritonserver"

    fakes.run(scenario())
