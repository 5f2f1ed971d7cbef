"""tritonserver goes over to another engine, also while one of its models is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import supervisor_fakes as fakes
from fake_triton import FakeTriton

from trident import engine_command
from trident.config import load
from trident.config.models import Config
from trident.errors import EngineStartFailed
from trident.supervisor.control_shelf import ControlShelf
from trident.supervisor.exchange import RealExchange, folder_config
from trident.supervisor.folder_shelf import FolderShelf
from trident.supervisor.shelf import Shelf
from trident.triton import repository

ENV: Any = SimpleNamespace(build="cpu")
NAMES = ("generate", "generate_infer", "qwen3_vllm")


@pytest.fixture(autouse=True)
def _state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))


def serving(triton: FakeTriton, mode: str = "none") -> tuple[Config, Shelf]:
    """What is served by ``triton``, and its shelf."""
    config = load({"http_port": triton.port, "model_control_mode": mode}, environ={})
    folder = repository.write(config, ["ipc:///old"], "cpu")
    if mode == "explicit":
        return config, ControlShelf("127.0.0.1", triton.port, folder)
    return config, FolderShelf("127.0.0.1", triton.port, folder)


def tell(triton: FakeTriton, relay: str, *models: str) -> None:
    """Its models have been loaded with that relay."""
    for model in models:
        triton.told[model] = {"parameters": {"trident": {"string_value": relay}}}


def test_it_returns_when_every_model_that_is_served_is_led() -> None:
    async def scenario() -> None:
        async with FakeTriton("generate", "qwen3_vllm") as triton:
            config, shelf = serving(triton)
            new = folder_config(config, 1)
            relay = engine_command.relay_address(new)
            going = asyncio.ensure_future(RealExchange(ENV, shelf).redirect(config, new))
            tell(triton, relay, "generate")
            await asyncio.sleep(0.5)  # what must not happen has no event
            assert not going.done()
            tell(triton, relay, "qwen3_vllm")
            await going
            for name in NAMES:
                assert relay in (config.run_dir / "repository" / name / "config.pbtxt").read_text()

    fakes.run(scenario())


def test_model_that_is_away_as_its_engine_is_lost_is_not_waited_for_and_comes_back_led() -> None:
    async def scenario() -> None:
        async with FakeTriton() as triton:
            config, shelf = serving(triton)
            shelf.withdraw(NAMES, "its engine is lost")
            new = folder_config(config, 1)
            await RealExchange(ENV, shelf).redirect(config, new)
            shelf.restore(NAMES)
            for name in NAMES:
                text = (config.run_dir / "repository" / name / "config.pbtxt").read_text()
                assert engine_command.relay_address(new) in text

    fakes.run(scenario())


def test_model_that_gets_other_stubs_just_now_gets_them_for_the_new_engine() -> None:
    async def scenario() -> None:
        async with FakeTriton("generate") as triton:
            config, shelf = serving(triton)
            shelf.withdraw(["generate"], "its stub has died")
            shelf.restore_once_gone(["generate"])
            new = folder_config(config, 1)
            relay = engine_command.relay_address(new)
            going = asyncio.ensure_future(RealExchange(ENV, shelf).redirect(config, new))
            triton.ready.discard("generate")
            inside = config.run_dir / "repository" / "generate" / "config.pbtxt"
            await fakes.until(lambda: inside.exists() and relay in inside.read_text())
            assert not going.done()
            tell(triton, relay, "generate")
            await going

    fakes.run(scenario())


def test_triton_that_hangs_up_is_an_error_that_says_so() -> None:
    async def scenario() -> None:
        async with FakeTriton("generate", hangs_up_at="load") as triton:
            config, shelf = serving(triton, "explicit")
            with pytest.raises(EngineStartFailed, match="does not go over"):
                await RealExchange(ENV, shelf).redirect(config, folder_config(config, 1))

    fakes.run(scenario())
