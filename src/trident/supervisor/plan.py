"""What a server consists of: its children, and how it is known to work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import trident
from trident import engine_command
from trident.config import paths
from trident.config.models import Config
from trident.errors import EnvironmentBroken
from trident.supervisor import engine_host, ports, shared_memory, triton_scratch
from trident.supervisor.child import Command
from trident.supervisor.door_probe import DoorProbe
from trident.supervisor.processes import children_of
from trident.supervisor.reach import http_status
from trident.supervisor.shelf import ControlShelf, FolderShelf, Shelf
from trident.triton import repository, shadow

if TYPE_CHECKING:
    from pathlib import Path

    from trident.models.resolve import ResolvedModel
    from trident.runtime.control_env import TritonInstall
    from trident.runtime.engine_env import EngineEnv

FIRST_METRICS_PORT = 18002
"""For tritonserver's own metrics. Below the ports from which the system takes those of outgoing connections."""


@dataclass(frozen=True)
class Plan:
    """Children in the order of the view; the last is stopped first. Without ``doors`` nothing is asked at them.

    ``models`` are, by the name of a child, those that tritonserver can serve only with it; ``shelf`` takes them out. At
    ``keeper`` the stubs of the user's repositories get their engines; ``follow_repositories`` takes over what changes
    there, for clients who load models.
    """

    children: list[Command]
    doors: DoorProbe | None = None
    shelf: Shelf | None = None
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keeper: Path | None = None
    follow_repositories: Callable[[], None] | None = None
    model: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


class Planner(Protocol):
    """Makes the plan once the run directory is there. The seam at which tests put small children."""

    shm_prefix: str | None

    def __call__(self, logs: Path) -> Plan: ...


class RealPlanner:
    """vLLM's engine host and tritonserver. Raises EnvironmentBroken when one of them is not installed."""

    def __init__(self, config: Config, model: ResolvedModel | None) -> None:
        from trident.triton import command as triton_command

        self._config = config
        self._model = model
        self.shm_prefix: str | None = triton_command.shm_prefix(config)

    def __call__(self, logs: Path) -> Plan:
        from trident.runtime.control_env import triton_install
        from trident.runtime.engine_env import engine_env

        env = engine_env(self._config.runtime.engine_build, paths.data_dir())
        if env is None:
            raise EnvironmentBroken("vLLM is not installed", "the engine environment is missing", "run: trident setup")
        config, model = self._config, self._model
        engines = [self._engine(logs, env, model)] if model else []
        folder = repository.write(config, [engine_command.relay_address(config)], env.build)
        shelf = self._shelf(folder)
        keeper = config.sockets_dir / "keeper.sock" if config.triton.model_repository else None
        metrics_port = ports.first_free("127.0.0.1", FIRST_METRICS_PORT, set(config.listen.ports.values()))
        triton = self._triton(logs, triton_install(paths.data_dir()), folder, shelf, keeper, metrics_port)
        can_load = config.triton.model_control_mode == "explicit"
        return Plan(
            children=[*engines, triton, self._metrics(logs, metrics_port)],
            doors=DoorProbe(),
            shelf=shelf,
            models={engine.name: config.own_models for engine in engines},
            keeper=keeper,
            follow_repositories=partial(shadow.follow, config, folder) if keeper and can_load else None,
            model={"name": model.name, "path": str(model.path), "source": model.source} if model else {},
            versions={
                "trident": trident.__version__,
                "vllm": f"{env.vllm_version} ({env.build})",
                "nvidia-pytriton": version("nvidia-pytriton"),
            },
        )

    def _engine(self, logs: Path, env: EngineEnv, model: ResolvedModel) -> Command:
        spec = engine_command.spec(self._config, model, env)
        return engine_host.command(
            self._config,
            spec,
            env,
            name="engine host",
            log_path=logs / "engine.log",
            model=self._config.contracts.generate_name,
        )

    def _triton(
        self, logs: Path, install: TritonInstall, folder: Path, shelf: Shelf, keeper: Path | None, metrics_port: int
    ) -> Command:
        from trident.runtime.control_env import STUB_NAME
        from trident.triton import command as triton_command

        listen = self._config.listen
        install = replace(install, backend_dir=self._plain(install.backend_dir))
        started = time.time()

        def clear() -> None:
            shared_memory.remove(triton_command.shm_prefix(self._config))
            triton_scratch.remove(started)
            shelf.triton_ended()

        async def is_answering() -> bool:
            return await http_status(listen.local_host, listen.http_port, "/v2/health/ready") == 200

        return Command(
            name="tritonserver",
            argv=triton_command.argv(self._config, install, self._plain(folder), metrics_port),
            env=triton_command.environment(install, keeper),
            log_path=logs / "triton.log",
            is_answering=is_answering,
            find_parts=partial(children_of, command=STUB_NAME, name="stub"),
            on_end=clear,
        )

    def _metrics(self, logs: Path, triton_port: int) -> Command:
        listen = self._config.listen
        arguments = [listen.host, str(listen.metrics_port), str(triton_port), str(self._config.run_dir)]
        return Command(
            name="metrics server",
            argv=[sys.executable, "-m", "trident.supervisor.metrics", *arguments],
            env=os.environ,
            log_path=logs / "metrics.log",
        )

    def _shelf(self, folder: Path) -> Shelf:
        listen = self._config.listen
        if self._config.triton.model_control_mode == "explicit":
            return ControlShelf(listen.local_host, listen.http_port)
        return FolderShelf(listen.local_host, listen.http_port, folder)

    def _plain(self, folder: Path) -> Path:
        """The folder under a path that may stand in a shell command without quotes, which tritonserver does not set."""
        if paths.is_plain(folder):
            return folder
        link = self._config.sockets_dir / folder.name
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
        return link
