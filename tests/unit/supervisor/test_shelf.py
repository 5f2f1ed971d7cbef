from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import supervisor_fakes as fakes
from fake_triton import FakeTriton

from trident.supervisor.control_shelf import ControlShelf
from trident.supervisor.folder_shelf import FolderShelf


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


def test_explicit_mode_unloads_and_loads_with_the_same_configuration(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "lost")
            await fakes.until(lambda: "a" not in triton.ready)
            shelf.restore(["a", "b"])
            assert await shelf.until_returned(5)
            assert triton.did == ["unload a", "load a"]
            assert json.loads(triton.loaded_with["a"])["max_batch_size"] == 7

    fakes.run(scenario())


def test_explicit_mode_leaves_a_model_alone_that_the_user_has_unloaded(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a", "b"], "lost")
            await fakes.until(lambda: "a" not in triton.ready)
            shelf.restore(["a", "b"])
            assert await shelf.until_returned(5)
            assert triton.did == ["unload a", "load a"]

    fakes.run(scenario())


def test_explicit_mode_waits_for_a_triton_that_is_starting(repository: Path) -> None:
    async def scenario() -> None:
        triton = FakeTriton("a")
        shelf = ControlShelf("127.0.0.1", triton.port, repository)
        shelf.withdraw(["a"], "lost")
        async with triton:
            await fakes.until(lambda: triton.did == ["unload a"])

    fakes.run(scenario())


def test_model_that_cannot_be_loaded_again_is_not_waited_for(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("broken") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["broken"], "lost")
            await fakes.until(lambda: "broken" not in triton.ready)
            shelf.restore(["broken"])
            assert await shelf.until_returned(5)

    fakes.run(scenario())


def test_model_that_gets_other_stubs_comes_back_only_when_triton_has_let_go(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = FolderShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "its stub has died")
            shelf.restore_once_gone(["a"])
            shelf.restore(["a"])  # its engine serves all the time
            assert names(repository) == {"b"}
            triton.ready.discard("a")
            await fakes.until(lambda: (repository / "a").is_symlink())
            assert not await shelf.is_back("a")
            triton.ready.add("a")
            assert await shelf.is_back("a")

    fakes.run(scenario())


def test_model_that_loses_its_engine_while_it_gets_other_stubs_stays_away(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = FolderShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "its stub has died")
            shelf.restore_once_gone(["a"])
            shelf.withdraw(["a"], "its engine is lost")
            triton.ready.discard("a")
            await fakes.until(lambda: names(repository) == {"a", "b"})
            assert not (repository / "a").is_symlink(), "that is the one that stands in"

    fakes.run(scenario())


def test_model_that_is_due_is_there_when_triton_starts_again(repository: Path) -> None:
    async def scenario() -> None:
        shelf = FolderShelf("127.0.0.1", 1, repository)
        shelf.withdraw(["a"], "its stub has died")
        shelf.restore_once_gone(["a"])
        shelf.triton_ended()
        assert (repository / "a").is_symlink()

    fakes.run(scenario())


def test_held_model_comes_back_with_its_release_only(repository: Path) -> None:
    async def scenario() -> None:
        shelf = FolderShelf("127.0.0.1", 1, repository)
        shelf.hold(["a"], "tritonserver has to be restarted")
        shelf.restore(["a"])
        assert names(repository) == {"b"}
        shelf.release(["a"])
        assert names(repository) == {"a", "b"}

    fakes.run(scenario())


def test_explicit_mode_gives_a_model_other_stubs(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "its stub has died")
            shelf.restore_once_gone(["a"])
            await fakes.until(lambda: triton.did == ["unload a", "load a"])
            await fakes.until(lambda: "a" in triton.ready)
            assert await shelf.is_back("a")

    fakes.run(scenario())


def test_engine_that_hesitates_does_not_bring_a_model_back_to_the_stubs_that_it_must_not_have(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = FolderShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "its stub has died")
            shelf.restore_once_gone(["a"])
            shelf.withdraw(["a"], "its engine is silent")
            shelf.restore(["a"])
            assert names(repository) == {"b"}, "tritonserver has not looked yet, and would keep the dead stub"
            triton.ready.discard("a")
            await fakes.until(lambda: (repository / "a").is_symlink())

    fakes.run(scenario())


def test_model_held_twice_is_released_twice(repository: Path) -> None:
    async def scenario() -> None:
        shelf = FolderShelf("127.0.0.1", 1, repository)
        shelf.hold(["a"], "tritonserver has to be restarted")
        shelf.hold(["a"], "the server stops")
        shelf.release(["a"])
        assert names(repository) == {"b"}
        shelf.release(["a"])
        assert names(repository) == {"a", "b"}

    fakes.run(scenario())


def test_held_model_gets_no_other_stubs(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = FolderShelf("127.0.0.1", triton.port, repository)
            shelf.hold(["a"], "the server stops")
            shelf.restore_once_gone(["a"])
            triton.ready.discard("a")
            await fakes.until(lambda: names(repository) == {"a", "b"})
            assert not (repository / "a").is_symlink(), "that is the one that stands in"

    fakes.run(scenario())


def test_withdrawn_model_comes_back_with_the_configuration_that_it_has_been_given_meanwhile(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a", "b") as triton:
            shelf = FolderShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "its stub has died")
            triton.ready.discard("a")
            await fakes.until(lambda: names(repository) == {"a", "b"})
            shelf.configure({"a": "new", "b": "new"})
            assert "its engine is lost" in (repository / "a" / "config.pbtxt").read_text()
            shelf.restore(["a"])
            assert [(repository / name / "config.pbtxt").read_text() for name in ("a", "b")] == ["new", "new"]

    fakes.run(scenario())


def test_explicit_mode_forgets_the_configuration_of_before(repository: Path) -> None:
    async def scenario() -> None:
        async with FakeTriton("a") as triton:
            shelf = ControlShelf("127.0.0.1", triton.port, repository)
            shelf.withdraw(["a"], "its stub has died")
            await fakes.until(lambda: triton.did == ["unload a"])
            await fakes.until(lambda: shelf._is_gone("a"))
            shelf.configure({"a": "new"})
            shelf.restore(["a"])
            assert await shelf.until_returned(5)
            assert triton.loaded_with["a"] == "", "what lies in the repository counts"
            assert (repository / "a" / "config.pbtxt").read_text() == "new"

    fakes.run(scenario())
