"""What a server consists of: its children, and how it is known to work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import trident
from trident.config import paths
from trident.config.models import Config
from trident.errors import EnvironmentBroken
from trident.supervisor import shared_memory, stubs, triton_scratch
from trident.supervisor.child import Command
from trident.supervisor.door_probe import DoorProbe
from trident.supervisor.reach import http_status

if TYPE_CHECKING:
    from pathlib import Path

    from trident.models.resolve import ResolvedModel
    from trident.runtime.control_env import TritonInstall
    from trident.runtime.engine_env import EngineEnv


@dataclass(frozen=True)
class Plan:
    """Children in the order of the view; the last is stopped first. Without ``doors`` nothing is asked at them. At
    ``keeper`` the stubs of the user's repositories get their engines; ``follow_repositories`` takes over what changes
    there, for clients who load models."""

    children: list[Command]
    doors: DoorProbe | None = None
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
        from trident.triton import repository, shadow

        env = engine_env(self._config.runtime.engine_build, paths.data_dir())
        if env is None:
            raise EnvironmentBroken("vLLM is not installed", "the engine environment is missing", "run: trident setup")
        model = self._model
        engines = [self._engine(logs, env, model)] if model else []
        repositories = self._config.repositories
        keeper = self._config.sockets_dir / "keeper.sock" if repositories.model_repository else None
        follow = None
        if keeper and repositories.model_control_mode == "explicit":
            follow = partial(shadow.follow, self._config, repository.place(self._config))
        triton = self._triton(logs, triton_install(paths.data_dir()), env, keeper)
        return Plan(
            children=[*engines, triton],
            doors=DoorProbe(),
            keeper=keeper,
            follow_repositories=follow,
            model={"name": model.name, "path": str(model.path), "source": model.source} if model else {},
            versions={
                "trident": trident.__version__,
                "vllm": f"{env.vllm_version} ({env.build})",
                "nvidia-pytriton": version("nvidia-pytriton"),
            },
        )

    def _engine(self, logs: Path, env: EngineEnv, model: ResolvedModel) -> Command:
        from trident import engine_command
        from trident.supervisor import engine_host

        spec = engine_command.spec(self._config, model, env)
        return engine_host.command(self._config, spec, env, name="engine host", log_path=logs / "engine.log")

    def _triton(self, logs: Path, install: TritonInstall, env: EngineEnv, keeper: Path | None) -> Command:
        from trident import engine_command
        from trident.triton import command as triton_command
        from trident.triton import repository

        listen = self._config.listen
        relays = [engine_command.relay_address(self._config)]
        folder = self._plain(repository.write(self._config, relays, env.build))
        install = replace(install, backend_dir=self._plain(install.backend_dir))
        started = time.time()

        def clear() -> None:
            shared_memory.remove(triton_command.shm_prefix(self._config))
            triton_scratch.remove(started)

        async def is_answering() -> bool:
            return await http_status(listen.local_host, listen.http_port, "/v2/health/ready") == 200

        parts = stubs.Parts(listen.local_host, listen.http_port)
        return Command(
            name="tritonserver",
            argv=triton_command.argv(self._config, install, folder),
            env=triton_command.environment(install, keeper),
            log_path=logs / "triton.log",
            is_answering=is_answering,
            find_parts=parts.find,
            is_wanted=parts.is_wanted,
            on_end=clear,
        )

    def _plain(self, folder: Path) -> Path:
        """The folder under a path that may stand in a shell command without quotes, which tritonserver does not set."""
        if paths.is_plain(folder):
            return folder
        link = self._config.sockets_dir / folder.name
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
        return link
