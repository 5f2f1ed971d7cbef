"""How the engine of MODEL is exchanged for another while the server runs: vLLM's side and Triton's."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec

from trident import engine_command
from trident.config import paths
from trident.config.models import Config
from trident.errors import EngineStartFailed
from trident.models.resolve import ResolvedModel
from trident.protocol.spec import SPEC_PARAMETER
from trident.runtime.core_cpus import Shares
from trident.runtime.engine_env import EngineEnv
from trident.supervisor import engine_host, room
from trident.supervisor.child import Child
from trident.supervisor.command import Command
from trident.supervisor.control_shelf import LOAD_TIMEOUT_S
from trident.supervisor.reach import http_json, http_status
from trident.supervisor.shelf import Shelf
from trident.triton import repository

LOOK_S = 0.2
REDIRECT_TIMEOUT_S = 120.0


class Exchange(Protocol):
    """A seam. ``config`` always carries the name, and so the run folder, of the engine that it is for."""

    def command(self, config: Config, model: ResolvedModel, log_path: Path, /) -> Command:
        """How that engine is started; writes its specification."""

    def lacking(self, old: Child, before: Config, after: Config, growth_bytes: int, /) -> str | None:
        """Why the two cannot run at the same time, None when they can."""

    async def redirect(self, server: Config, engine: Config, /) -> None:
        """From when it returns new requests of Triton go to that engine, or will when their models come back. Raises
        EngineStartFailed."""


class RealExchange:
    """With vLLM's engine host and a tritonserver whose models are on ``shelf`` where they are not served. ``shares``
    are the CPUs of each of the engines: of two at the same time, one drains."""

    def __init__(self, env: EngineEnv, shelf: Shelf, shares: Shares = engine_command.NO_SHARES) -> None:
        self._env = env
        self._shelf = shelf
        self._shares = shares

    def command(self, config: Config, model: ResolvedModel, log_path: Path) -> Command:
        """See ``Exchange``."""
        # One with a folder of its own starts while another listens.
        told = engine_command.spec(config, model, self._env, self._shares)
        spec = msgspec.structs.replace(told, shares_port=is_later(config) and told.openai_socket is None)
        name, triton_model = "engine host", config.contracts.generate_name
        return engine_host.command(config, spec, self._env, name=name, log_path=log_path, model=triton_model)

    def lacking(self, old: Child, before: Config, after: Config, growth_bytes: int) -> str | None:
        """See ``Exchange``."""
        if old.ready is None or not old.is_ready or old.pid is None:
            return "the engine that is there does not serve"
        if old.ready.facts.get("openai_server") == "rust" or after.runtime.openai_server == "rust":
            return "vLLM's Rust OpenAI server cannot hand its port over"
        if before.has_gateway or before.openai.get("uds") or after.openai.get("uds"):
            return "two OpenAI servers cannot have one unix socket"
        if self._env.build == "cpu":
            return room.lacking_on_cpu([old.pid], growth_bytes)
        return room.lacking_on_gpus(float(after.engine.get("gpu_memory_utilization", room.GPU_SHARE)))

    async def redirect(self, server: Config, engine: Config) -> None:
        """See ``Exchange``. A tritonserver that polls loads the models anew beside those that it has, and lets these
        finish."""
        relay = engine_command.relay_address(engine)
        try:
            await asyncio.wait_for(self._redirect(server, relay), REDIRECT_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise _stays(f"it has not loaded its models anew within {REDIRECT_TIMEOUT_S:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise _stays(str(error) or type(error).__name__) from error

    async def _redirect(self, server: Config, relay: str) -> None:
        wanted = [model for model in server.own_models if await self._is_wanted(server, model)]
        self._shelf.configure(repository.configurations(server, [relay], self._env.build))
        http = server.places.http.local
        if server.triton.model_control_mode == "explicit":
            for model in wanted:
                path = f"/v2/repository/models/{quote(model)}/load"
                await http_json(http.host, http.port, path, {}, LOAD_TIMEOUT_S)
        for model in wanted:
            # One taken out meanwhile, as its engine is lost, comes back with what it has been given.
            while relay not in await _spec_of(server, model) and not self._shelf.is_away(model):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)

    async def _is_wanted(self, server: Config, model: str) -> bool:
        """It is served, or will be soon. A client may have unloaded it."""
        if self._shelf.holds(model):
            return not self._shelf.is_away(model)
        http = server.places.http.local
        return await http_status(http.host, http.port, f"/v2/models/{quote(model)}/ready") == 200


async def _spec_of(server: Config, model: str) -> str:
    """What the stubs of the model that serves now were told."""
    http = server.places.http.local
    try:
        code, answer = await http_json(http.host, http.port, f"/v2/models/{quote(model)}/config")
    except (OSError, EOFError, ValueError, asyncio.TimeoutError):
        return ""
    parameters = answer.get("parameters", {}) if code == 200 else {}
    return str(parameters.get(SPEC_PARAMETER, {}).get("string_value", ""))


def _stays(why: str) -> EngineStartFailed:
    return EngineStartFailed("tritonserver does not go over to the new engine", why, "see its log: trident logs triton")


def folder_config(config: Config, number: int) -> Config:
    """The configuration as that of the ``number``-th engine of a server, with a run folder of its own within the
    server's; names with a slash are nobody else's. The first has the server's."""
    return config.model_copy(update={"name": f"{config.name}/reloads/{number}"}) if number else config


def is_later(config: Config) -> bool:
    """It is not that of a server's first engine."""
    return "/" in config.name


def clear(config: Config) -> None:
    """Removes what later engines of an earlier run have left; who calls it holds the server's lock."""
    for folder in (config.run_dir / "reloads").glob("*"):
        shutil.rmtree(paths.sockets_dir(folder), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
