"""What a server consists of: its children, and how it is known to work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trident
from trident import engine_command
from trident.config import paths
from trident.config.models import Config
from trident.config.places import UNIX, Place
from trident.errors import EnvironmentBroken
from trident.supervisor import answer_pipes, gateway, launch, shared_memory, triton_scratch
from trident.supervisor.command import Command
from trident.supervisor.control_shelf import ControlShelf
from trident.supervisor.door_probe import DoorProbe
from trident.supervisor.exchange import Exchange, RealExchange
from trident.supervisor.folder_shelf import FolderShelf
from trident.supervisor.in_flight import InFlight
from trident.supervisor.reach import http_status
from trident.supervisor.reload import Engine
from trident.supervisor.shelf import Shelf
from trident.supervisor.stand_in import StandIn
from trident.supervisor.stub_mender import StubMender
from trident.triton import repository, shadow

if TYPE_CHECKING:
    from trident.models.resolve import ResolvedModel
    from trident.runtime.control_env import TritonInstall

LIVE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Plan:
    """Children in the order of the view; the last is stopped first. Without ``doors`` nothing is asked at them.

    ``models`` are, by the name of a child, those that tritonserver can serve only with it; ``shelf`` takes them out,
    and ``mender`` replaces their stubs. At ``keeper`` the stubs of the user's repositories get their engines;
    ``follow_repositories`` takes over what changes there, for clients who load models. ``exchange`` puts another engine
    in the place of ``engine``, that of MODEL. ``stand_ins``, by the name of a child, answer at its port while it is
    away. ``attendants`` watch the server, which serves without them; ``attendant_urls`` are where a browser finds them.
    """

    children: list[Command]
    doors: DoorProbe | None = None
    shelf: Shelf | None = None
    mender: StubMender | None = None
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keeper: Path | None = None
    follow_repositories: Callable[[], None] | None = None
    engine: Engine | None = None
    exchange: Exchange | None = None
    model: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    stand_ins: dict[str, StandIn] = field(default_factory=dict)
    attendants: list[Command] = field(default_factory=list)
    attendant_urls: dict[str, str] = field(default_factory=dict)


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
        from trident.runtime import core_cpus
        from trident.runtime.control_env import triton_install
        from trident.runtime.engine_env import engine_env

        env = engine_env(self._config.runtime.engine_build, paths.data_dir())
        if env is None:
            raise EnvironmentBroken("vLLM is not installed", "the engine environment is missing", "run: trident setup")
        config, model = self._config, self._model
        shares = core_cpus.take(config, env.build)
        folder = repository.write(config, [engine_command.relay_address(config)], env.build)
        shelf = self._shelf(folder)
        exchange = RealExchange(env, shelf, shares)
        gateways = [self._gateway(logs)] if config.has_gateway else []
        engines = [exchange.command(config, model, logs / "engine.log")] if model else []
        keeper = config.sockets_dir / "keeper.sock" if config.triton.model_repository else None
        metrics = self._triton_metrics()
        mender = self._mender(shelf)
        others = partial(replace, cpus=shares.rest)
        triton = self._triton(logs, triton_install(paths.data_dir()), folder, shelf, mender, keeper, metrics)
        can_load = config.triton.model_control_mode == "explicit"
        attendants, attendant_urls = self._watchers(logs)
        return Plan(
            # The gateway is the last to be stopped: answers under way go through it.
            children=[*map(others, gateways), *engines, others(triton), others(self._metrics(logs, metrics))],
            doors=DoorProbe(),
            shelf=shelf,
            mender=mender,
            models={engine.name: config.own_models for engine in engines},
            keeper=keeper,
            follow_repositories=partial(shadow.follow, config, folder) if keeper and can_load else None,
            engine=Engine(config, model) if model else None,
            exchange=exchange,
            model=launch.described(model) if model else {},
            versions={
                "trident": trident.__version__,
                "vllm": f"{env.vllm_version} ({env.build})",
                "nvidia-pytriton": version("nvidia-pytriton"),
            },
            stand_ins=self._stand_ins(engines),
            attendants=[*map(others, attendants)],
            attendant_urls=attendant_urls,
        )

    def _triton(
        self,
        logs: Path,
        install: TritonInstall,
        folder: Path,
        shelf: Shelf,
        mender: StubMender,
        keeper: Path | None,
        metrics: Place,
    ) -> Command:
        from trident.triton import command as triton_command

        places = self._config.places
        http = places.http.local
        install = replace(install, backend_dir=self._plain(install.backend_dir))
        started = time.time()

        def clear() -> None:
            # tritonserver does not start where the socket of its last life lies.
            for left in (places.http.socket, places.grpc_socket, metrics.socket):
                if left is not None:
                    Path(left).unlink(missing_ok=True)
            shared_memory.remove(triton_command.shm_prefix(self._config))
            triton_scratch.remove(started)
            shelf.triton_ended()
            mender.triton_ended()

        async def is_answering() -> bool:
            return await http_status(http.host, http.port, "/v2/health/ready") == 200

        async def is_live() -> bool:
            # A client's load holds one of the HTTP threads; the metrics have one of their own.
            if self._config.triton.model_control_mode == "explicit":
                return await http_status(metrics.host, metrics.port, "/metrics", LIVE_TIMEOUT_S) == 200
            return await http_status(http.host, http.port, "/v2/health/live", LIVE_TIMEOUT_S) == 200

        return Command(
            name="tritonserver",
            argv=triton_command.argv(self._config, install, self._plain(folder), metrics),
            env=triton_command.environment(install, keeper),
            log_path=logs / "triton.log",
            is_answering=is_answering,
            is_live=is_live,
            on_ready=answer_pipes.make_patient,
            find_parts=mender.find,
            mender=mender,
            on_end=clear,
        )

    def _watchers(self, logs: Path) -> tuple[list[Command], dict[str, str]]:
        if not self._config.monitor.monitor:
            return [], {}
        from trident.monitor import watchers

        return watchers.of(self._config, logs)

    def _gateway(self, logs: Path) -> Command:
        return gateway.command(self._config, list(self._config.ports), name="gateway", log_path=logs / "gateway.log")

    def _triton_metrics(self) -> Place:
        """For tritonserver's own, which our page shows too. No port: two servers that start together would choose the
        same, and a tritonserver that cannot have it ends in the midst of its first requests."""
        return Place(f"{UNIX}{self._config.sockets_dir}/triton-metrics", 1)

    def _metrics(self, logs: Path, triton: Place) -> Command:
        place = self._config.places.metrics
        arguments = [place.host, str(place.port), triton.host, str(triton.port), str(self._config.run_dir)]
        return Command(
            name="metrics server",
            argv=[sys.executable, "-m", "trident.supervisor.metrics", *arguments],
            env=os.environ,
            log_path=logs / "metrics.log",
        )

    def _shelf(self, folder: Path) -> Shelf:
        http = self._config.places.http.local
        if self._config.triton.model_control_mode == "explicit":
            return ControlShelf(http.host, http.port, folder)
        # Engines of a user's models are lost one by one, and each loss has to be seen at a poll.
        is_one = not self._config.triton.model_repository
        return FolderShelf(http.host, http.port, folder, lets_stubs_wait=is_one)

    def _stand_ins(self, engines: list[Command]) -> dict[str, StandIn]:
        """The gateway says by itself that nobody is behind it."""
        if self._config.has_gateway:
            return {}
        listen = self._config.listen
        return {engine.name: StandIn(listen.host, listen.openai_port) for engine in engines}

    def _mender(self, shelf: Shelf) -> StubMender:
        listen = self._config.listen
        # Behind the gateway nobody can tell the connections that wait for the dead stub from others.
        can_see = not self._config.triton.model_repository and not self._config.has_gateway
        models = self._config.own_models if self._model else ()
        in_flight = InFlight(self._stub_folders)
        return StubMender(shelf, models, listen.http_port, listen.grpc_port, in_flight, is_alone=can_see)

    def _stub_folders(self) -> list[Path]:
        """Where stubs have their sockets: those of leased engines beside these."""
        leased = (self._config.run_dir / "engines").glob("*")
        return [self._config.sockets_dir, *map(paths.sockets_dir, leased)]

    def _plain(self, folder: Path) -> Path:
        """The folder under a path that may stand in a shell command without quotes, which tritonserver does not set."""
        if paths.is_plain(folder):
            return folder
        link = self._config.sockets_dir / folder.name
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
        return link
