from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.supervisor.shelf import ControlShelf, FolderShelf


class FakeTriton:
    """The part of tritonserver's HTTP that a shelf uses; explicit mode."""

    def __init__(self, *ready: str) -> None:
        self.ready = set(ready)
        self.did: list[str] = []
        self.loaded_with: dict[str, str] = {}
        self.port = fakes.free_port()

    async def __aenter__(self) -> FakeTriton:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.partition("Content-Length: ")[2].split()[0])
        body = json.loads(await reader.readexactly(length) or b"{}")
        code, answer = self._answer(head.split()[1], body)
        text = json.dumps(answer).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (code, len(text)) + text)
        await writer.drain()
        writer.close()

    def _answer(self, path: str, body: dict[str, dict[str, str]]) -> tuple[int, object]:
        *_, model, verb = path.split("/")
        if verb == "ready":
            return (200 if model in self.ready else 400), {}
        if verb == "config":
            return 200, {"name": model, "max_batch_size": 7}
        self.did.append(f"{verb} {model}")
        if verb == "unload":
            self.ready.discard(model)
        elif model == "broken":
            return 400, {"error": "it has no version"}
        else:
            self.ready.add(model)
            self.loaded_with[model] = body["parameters"].get("config", "")
        return 200, {}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for model in ("a", "b"):
        (tmp_path / "kept" / model).mkdir(parents=True)
        (tmp_path / "repository").mkdir(exist_ok=True)
        (tmp_path / "repository" / model).symlink_to(tmp_path / "kept" / model)
    return tmp_path / "repository"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_withdrawn_folder_leaves_the_repository_and_comes_back(repository: Path) -> None:
    async def scenario() -> None:
        shelf = FolderShelf("127.0.0.1", 1, repository)
        for _ in range(2):
            shelf.withdraw(["a"], "its engine is lost")
        assert names(repository) == {"b"} and shelf.holds("a") and not shelf.holds("b")
        for _ in range(2):
            shelf.restore(["a", "b"])
        assert names(repository) == {"a", "b"} and (repository / "a").is_symlink()
        assert shelf.holds("a"), "until tritonserver has loaded it"

    fakes.run(scenario())


def test_place_of_a_withdrawn_folder_is_taken_once_triton_has_let_go(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = FolderShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "its engine is lost")
            await asyncio.sleep(0.3)  # what must not happen has no event
            assert names(repository) == {"b"}, "it would be taken for a new version of the model"
            triton.ready.discard("a")
            await fakes.until(lambda: names(repository) == {"a", "b"})
            assert "its engine is lost" in (repository / "a" / "config.pbtxt").read_text()
            shelf.triton_ended()
            assert names(repository) == {"b"}, "tritonserver does not start with a model that cannot be loaded"
            await fakes.until(lambda: names(repository) == {"a", "b"})
            shelf.restore(["a"])
            assert (repository / "a").is_symlink()

    fakes.run(scenario())


def test_model_is_held_until_triton_calls_it_ready(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("b") as triton:
            shelf = FolderShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "lost")
            shelf.restore(["a"])
            assert not await shelf.until_returned(0.2)
            triton.ready.add("a")
            assert await shelf.until_returned(5)
            assert not shelf.holds("a")

    fakes.run(scenario())


def test_explicit_mode_unloads_and_loads_with_the_same_configuration() -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port)
            shelf.withdraw(["a"], "lost")
            await fakes.until(lambda: "a" not in triton.ready)
            shelf.restore(["a", "b"])
            assert await shelf.until_returned(5)
            assert triton.did == ["unload a", "load a"]
            assert json.loads(triton.loaded_with["a"])["max_batch_size"] == 7

    fakes.run(scenario())


def test_explicit_mode_leaves_a_model_alone_that_the_user_has_unloaded() -> None:
    async def scenario() -> None:
        async with FakeTriton("a") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port)
            shelf.withdraw(["a", "b"], "lost")
            await fakes.until(lambda: "a" not in triton.ready)
            shelf.restore(["a", "b"])
            assert await shelf.until_returned(5)
            assert triton.did == ["unload a", "load a"]

    fakes.run(scenario())


def test_explicit_mode_waits_for_a_triton_that_is_starting() -> None:
    async def scenario() -> None:
        triton = FakeTriton("a")
        shelf = ControlShelf("127.0.0.1", triton.port)
        shelf.withdraw(["a"], "lost")
        async with triton:
            await fakes.until(lambda: triton.did == ["unload a"])

    fakes.run(scenario())


def test_model_that_cannot_be_loaded_again_is_not_waited_for() -> None:
    async def scenario() -> None:
        async with FakeTriton("broken") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port)
            shelf.withdraw(["broken"], "lost")
            await fakes.until(lambda: "broken" not in triton.ready)
            shelf.restore(["broken"])
            assert await shelf.until_returned(5)

    fakes.run(scenario())
