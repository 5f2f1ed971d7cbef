"""The engine host of one model of a repository: started for its first stub, stopped after its last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace as replace_fields

from trident import engine_command
from trident.config import paths
from trident.config.engine_arguments import EngineArguments
from trident.config.models import Config
from trident.errors import EnvironmentBroken, TridentError
from trident.models.resolve import ResolvedModel, resolve
from trident.protocol import tracing
from trident.protocol.lease import Want
from trident.protocol.spec import StubSpec
from trident.runtime.engine_env import EngineEnv, engine_env
from trident.supervisor import engine_host, gateway
from trident.supervisor.child import Child
from trident.supervisor.group import Group
from trident.supervisor.run_directory import RunDirectory
from trident.supervisor.state import ChildState
from trident.triton import vllm_model
from trident.triton.repository import RESPONSE_SHARE
from trident.triton.vllm_model import VllmModel

log = logging.getLogger(__name__)

FORMATS_OF_FOLDERS = (None, "auto", "hf", "safetensors", "pt", "bin", "dummy")
"""Load formats of models that lie in a folder or a hub; for others only vLLM knows what ``model`` means."""


@dataclass(frozen=True)
class Order:
    """What a stub wants, read and found. Two stubs with equal ``key`` share an engine."""

    want: Want
    asked: VllmModel
    model_path: str
    env: EngineEnv

    @property
    def key(self) -> bytes:
        """The model version and everything that its engine is started with."""
        asked = self.asked
        parts = [self.want.engine, self.want.version, asked.model, asked.engine, asked.loras, asked.devices]
        return msgspec.json.encode([*parts, asked.openai_port], order="deterministic")


def order(want: Want, config: Config) -> Order:
    """Reads the model's files and finds its weights; may take long, as it downloads. Raises CannotStart."""
    env = engine_env(config.runtime.engine_build, paths.data_dir())
    if env is None:
        raise EnvironmentBroken("vLLM is not installed", "the engine environment is missing", "run: trident setup")
    device = want.device if want.kind == "KIND_GPU" else None
    known = EngineArguments.read(env.arguments_path)
    asked = vllm_model.read(Path(want.folder), want.version, want.parameters, device, known)
    if asked.engine.get("revision") or asked.engine.get("load_format") not in FORMATS_OF_FOLDERS:
        return Order(want, asked, asked.model, env)
    found = resolve(asked.model, config.hub, paths.data_dir(), offline=config.runtime.offline, report=log.info)
    return Order(want, asked, os.fspath(found.path), env)


def _openai(config: Config) -> dict[str, Any]:
    """The OpenAI server's arguments are MODEL's where there is one; the key protects every door."""
    return {name: value for name, value in config.openai.items() if config.model is None or name == "api_key"}


class KeptEngine:
    """One engine host in a run folder of its own. ``label`` names it in status and logs; ``leases`` counts its stubs,
    ``models`` are Triton's names of what they serve.

    ``config`` is the server's, ``logs`` the server's folder of logs. ``start`` is called once, ``stop`` by whom sees
    the last lease end.
    """

    def __init__(self, order: Order, config: Config, label: str, port: int, logs: Path, on_change: Callable[[], None]):
        self.order = order
        self.label = label
        self.port = port
        self.leases = 0
        self.models: set[str] = set()
        self.is_ending = False
        self.ended = asyncio.Event()
        self.error: TridentError | None = None
        # Its run directory is one like a server's, within the server's; names with a slash are nobody else's.
        self._config = config.model_copy(
            update={
                "name": f"{config.name}/engines/{label}",
                "model": order.model_path,
                "engine": order.asked.engine,
                "openai": _openai(config),
                "listen": config.listen.model_copy(update={"openai_port": port}),
            }
        )
        self._directory = RunDirectory(self._config)
        self._log_path = logs / f"engine-{label}.log"
        self._on_change = on_change
        self._group: Group | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """It answers requests."""
        return self._group is not None and self._group.is_ready

    @property
    def serves_stubs(self) -> bool:
        """Ready, or so far in its start that stubs are served, whatever its OpenAI door's gateway does."""
        return bool(self.hosts) and all(host.serves_stubs for host in self.hosts)

    @property
    def is_lost(self) -> bool:
        """It has been ready, and is not there now."""
        return self._watching is not None and not self.is_ending and not self.is_ready

    @property
    def states(self) -> list[ChildState]:
        """For ``state.json``."""
        return [member.state for member in self._group.members] if self._group else []

    @property
    def drainable(self) -> list[Child]:
        """It, when it can be drained."""
        return self._group.drainable if self._group else []

    @property
    def hosts(self) -> list[Child]:
        """The same as a child."""
        return self._group.hosts if self._group else []

    @property
    def tasks(self) -> list[str]:
        """What its model does, in vLLM's words; nothing while it has not said it."""
        return [task for state in self.states for task in state.facts.get("tasks", ())]

    @property
    def stub(self) -> StubSpec:
        """What its stubs are told."""
        config, env = self._config, self.order.env
        return StubSpec(
            relays=[engine_command.relay_address(config)],
            sockets_dir=os.fspath(config.sockets_dir),
            start_timeout_s=config.supervision.start_timeout_s,
            response_share=config.stubs.response_share or RESPONSE_SHARE[env.build],
            defaults={},
            engine_patience_s=config.supervision.engine_patience_s,
            is_traced=tracing.endpoint(self.order.asked.engine) is not None,
        )

    async def start(self) -> None:
        """Returns when the engine serves. Raises CannotStart; then nothing of it is left running."""
        self._directory.acquire()
        order = self.order
        model = ResolvedModel(Path(order.model_path), order.want.engine, "folder")
        told = engine_command.spec(self._config, model, order.env)
        lora_dir = told.lora_dir if order.asked.engine.get("enable_lora") else None
        spec = replace_fields(told, model_path=order.model_path, loras=order.asked.loras, lora_dir=lora_dir)
        command = engine_host.command(
            self._config,
            spec,
            order.env,
            name=f"engine {self.label}",
            log_path=self._log_path,
            model=order.want.model,
            version=order.want.version,
        )
        if order.asked.devices is not None:
            command = replace(command, env={**command.env, "CUDA_VISIBLE_DEVICES": order.asked.devices})
        doors = [
            gateway.command(
                self._config,
                ["OpenAI"],
                name=f"gateway of {self.label}",
                log_path=self._log_path.with_name(f"gateway-{self.label}.log"),
            )
            for _ in range(self._config.has_gateway)
        ]
        self._group = Group([*doors, command], self._config.supervision, self._on_change)
        log.info("engine %s: %s, OpenAI on port %d", self.label, order.model_path, self.port)
        await self._group.start()
        self._watching = asyncio.ensure_future(self._watch(self._group))

    async def _watch(self, group: Group) -> None:
        try:
            await group.watch()
        except TridentError as error:
            log.error("engine %s: %s", self.label, error)
            self.error = error
            self._on_change()

    async def stop(self, force: asyncio.Event) -> None:
        """Stops the host and removes its sockets. Bounded."""
        self.is_ending = True
        if self._group is not None:
            await self._group.stop(force)
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._directory.release()
        self.ended.set()
