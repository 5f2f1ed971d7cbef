"""The two servers with a tritonserver: Trident, and the recipe as people run it."""

from __future__ import annotations

import contextlib
import os
import shutil
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import speed_cpus
import speed_doors
import unsupervised
from speed_servers import Alone, Started, caches
from unsupervised import Place

from trident import engine_command
from trident.config.models import Config
from trident.protocol.status import Ready
from trident.runtime import core_cpus
from trident.runtime.control_env import TritonInstall
from trident.supervisor.run_directory import RunDirectory
from trident.triton import command as triton_command
from trident.triton import repository
from trident.triton.command import shm_prefix

RECIPE = "recipe"
_RECIPE_CONFIG = """\
name: "recipe"
backend: "python"
max_batch_size: 32
dynamic_batching { max_queue_delay_microseconds: 5000 }
input [
  { name: "prompt" data_type: TYPE_STRING dims: [ 1 ] },
  { name: "max_tokens" data_type: TYPE_INT32 dims: [ 1 ] },
  { name: "temperature" data_type: TYPE_FP32 dims: [ 1 ] }
]
output [ { name: "generated_text" data_type: TYPE_STRING dims: [ 1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
parameters { key: "socket" value { string_value: "%s" } }
"""


@dataclass(frozen=True)
class Variant:
    """Another ``generate`` model on the same engine, with other stubs; ``share`` is their ``response_share``."""

    name: str
    stubs: int
    share: float


class Trident(Started):
    """Engine host and tritonserver, started at once by the commands that ``trident serve`` uses; ``called`` so."""

    def __init__(
        self, place: Place, cache: Path, stubs: int | None, variants: list[Variant], called: str = "Trident"
    ) -> None:
        listen, contracts = place.config.listen, place.config.contracts
        generate = [contracts.generate_name, *(variant.name for variant in variants)]
        server = called.lower()
        super().__init__(
            server,
            place,
            [
                *(speed_doors.generate_stream(f"{called} {name}", server, listen.http_port, name) for name in generate),
                speed_doors.grpc_stream(f"{called} gRPC", server, listen.grpc_port, contracts.generate_name),
                speed_doors.openai(f"{called} OpenAI", server, listen.openai_port, place.model.name),
                speed_doors.infer(f"{called} /infer", server, listen.http_port, contracts.recipe_name, [1]),
            ],
        )
        if stubs is not None:
            settings = place.config.stubs.model_copy(update={"stubs": stubs})
            place = replace(place, config=place.config.model_copy(update={"stubs": settings}))
        self.config = place.config
        self.directory = RunDirectory(place.config, shm_prefix(place.config))
        self.directory.acquire()
        self.shares = core_cpus.take(place.config, place.engine.build)
        with _environ(caches(cache)):
            self.host = unsupervised.EngineHost(place, self.shares)
        with speed_cpus.on(self.shares.rest):
            triton = start_triton(self, place.config, place.triton, _models(place, variants), "triton")
        self.processes = [self.host.process, triton]
        self.watch(self.doors[f"{called} {contracts.generate_name}"])

    def phases(self) -> list[tuple[str, float]]:
        """How long each phase of the engine's start took, in seconds."""
        return self.host.phases()

    def _name(self, process: psutil.Process, *, is_top: bool) -> str:
        if process.pid == self.host.process.pid:
            return "relay"
        ready = self.ready()
        named = {pid: name for name, pid in ready.pids.items()} if ready is not None else {}
        return named.get(process.pid) or super()._name(process, is_top=False)

    def ready(self) -> Ready | None:
        """What the host said of itself when it was."""
        return next((said for _, said in self.host.said if isinstance(said, Ready)), None)

    def stop(self) -> None:
        """And its run directory."""
        super().stop()
        self.shares.release()
        self.directory.release()


def with_engine(place: Place, engine: dict[str, Any]) -> Place:
    """The same with other engine arguments."""
    return replace(place, config=place.config.model_copy(update={"engine": engine}))


def beside(place: Place, name: str, engine: dict[str, Any], port: int) -> Place:
    """Where another server has room: other ports from ``port`` on, another run directory and folder of logs."""
    ports = {f"{door}_port": port + index for index, door in enumerate(("http", "grpc", "metrics", "openai"))}
    listen = place.config.listen.model_copy(update=ports)
    config = place.config.model_copy(update={"listen": listen, "name": name, "engine": engine})
    logs = place.logs / name
    logs.mkdir(parents=True, exist_ok=True)
    return replace(place, config=config, logs=logs)


class Recipe(Started):
    """Triton with the recipe's model in front of ``alone``."""

    def __init__(self, place: Place, alone: Alone, folder: Path, ports: tuple[int, int, int]) -> None:
        http, grpc, metrics = ports
        door = speed_doors.infer("recipe, blocking", RECIPE, http, RECIPE, [1, 1])
        super().__init__(RECIPE, place, [door])
        listen = place.config.listen.model_copy(
            update={"http_port": http, "grpc_port": grpc, "metrics_port": metrics, "openai_port": http + 9}
        )
        config = place.config.model_copy(update={"listen": listen, "name": "recipe"})
        models = folder / "recipe-models"
        version = models / RECIPE / "1"
        version.mkdir(parents=True, exist_ok=True)
        (models / RECIPE / "config.pbtxt").write_text(_RECIPE_CONFIG % alone.socket)
        shutil.copy(Path(__file__).with_name("speed_recipe_model.py"), version / "model.py")
        self.alone = alone
        start_triton(self, config, place.triton, models, RECIPE)
        self.watch(None)

    def is_up(self) -> bool:
        """Its model is; a door's first answer would take the engine's time."""
        url = f"http://127.0.0.1:{self.doors['recipe, blocking'].port}/v2/health/ready"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return True
        return False

    def named(self) -> dict[str, list[psutil.Process]]:
        """The engine's processes are its own too."""
        found = super().named()
        for name, processes in self.alone.named().items():
            found.setdefault("LLM process" if name == "server" else name, []).extend(processes)
        return found

    def stop(self) -> None:
        """Its tritonserver alone."""
        everything, self.named = self.named, super().named  # type: ignore[method-assign]
        super().stop()
        self.named = everything  # type: ignore[method-assign]


def start_triton(started: Started, config: Config, install: TritonInstall, models: Path, log: str) -> Any:
    """tritonserver as Trident starts it."""
    argv = triton_command.argv(config, install, models, config.places.metrics)
    return started.launch(argv, triton_command.environment(install), log)


def _models(place: Place, variants: list[Variant]) -> Path:
    """The repository, with the variants beside Trident's own models."""
    relays = [engine_command.relay_address(place.config)]
    folder = repository.write(place.config, relays, place.engine.build)
    contracts = place.config.contracts
    for variant in variants:
        settings = place.config.stubs.model_copy(update={"stubs": variant.stubs, "response_share": variant.share})
        named = contracts.model_copy(update={"generate_name": variant.name})
        config = place.config.model_copy(update={"stubs": settings, "contracts": named})
        text = repository.configurations(config, relays, place.engine.build)[variant.name]
        shutil.copytree(folder / contracts.generate_name, folder / variant.name)
        (folder / variant.name / repository.CONFIGURATION).write_text(text)
    return folder


@contextlib.contextmanager
def _environ(changes: dict[str, str]) -> Any:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
