"""What is examined: one configuration on one machine. Everything a check may not ask twice is asked here, once."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from trident.config.models import Config
from trident.doctor import nvml
from trident.errors import EnvironmentBroken, TridentError
from trident.models.resolve import ResolvedModel, resolve
from trident.runtime import hardware
from trident.runtime.engine_env import EngineEnv, engine_env
from trident.runtime.pins import Build
from trident.supervisor import state
from trident.supervisor.state import ServerState


def site_packages() -> Path:
    """Where the packages of this environment are."""
    return Path(sysconfig.get_path("purelib"))


@dataclass(frozen=True)
class Patient:
    """``config`` is None where it cannot be read, ``config_error`` says why. ``hashes`` asks for every file of the
    environments to be read, not only looked at; ``found`` is the model where the caller has it already."""

    data_dir: Path
    config: Config | None
    config_error: TridentError | None = None
    site: Path = field(default_factory=site_packages)
    hashes: bool = False
    found: ResolvedModel | None = None

    @cached_property
    def hardware(self) -> hardware.Hardware:
        """Cores, memory, and GPUs as the choice of a build sees them."""
        return hardware.detect()

    @cached_property
    def gpus(self) -> nvml.Reading:
        """What NVML says; without a driver it is not asked."""
        if not any(mark.exists() for mark in hardware.DRIVER_MARKS):
            return nvml.Reading(problem="no NVIDIA driver is loaded")
        return nvml.read()

    @cached_property
    def visible_gpus(self) -> tuple[nvml.GpuReading, ...]:
        """Those that CUDA_VISIBLE_DEVICES leaves, in CUDA's order."""
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
        if wanted is None:
            return self.gpus.gpus
        found: list[nvml.GpuReading] = []
        for word in (part.strip() for part in wanted.split(",")):
            match = [gpu for gpu in self.gpus.gpus if word == str(gpu.index) or (word and gpu.uuid.startswith(word))]
            if not match:
                break  # as CUDA does: what comes after an unknown one is not seen
            found += match
        return tuple(found)

    @cached_property
    def build(self) -> Build:
        """The build of vLLM that would serve here, also where its driver is too old for it."""
        chosen = self.config.runtime.engine_build if self.config else "auto"
        if chosen != "auto":
            return chosen
        return "cuda" if self.hardware.gpus else "cpu"

    @cached_property
    def engine(self) -> EngineEnv | None:
        """The engine environment, None where there is no complete one."""
        try:
            return engine_env(self.build, self.data_dir)
        except EnvironmentBroken:
            return None

    @cached_property
    def server(self) -> ServerState | None:
        """What the server of this name last wrote about itself."""
        return state.load(self.config.run_dir) if self.config else None

    @property
    def config_offline(self) -> bool:
        """The network is never to be touched."""
        return self.config is not None and self.config.runtime.offline

    @property
    def serves(self) -> bool:
        """A server of this name runs."""
        return self.server is not None and self.server.is_running()

    @cached_property
    def model(self) -> ResolvedModel | TridentError | None:
        """The model's checked folder, found without the network, or why there is none; None where none is wanted."""
        config = self.config
        if config is None or config.model is None:
            return None
        if self.found is not None:
            return self.found
        try:
            return resolve(
                config.model,
                config.hub,
                self.data_dir,
                offline=True,
                report=lambda _: None,
                needs_weights=config.needs_weights,
            )
        except TridentError as error:
            return error

    def engine_argument(self, name: str, default: float) -> float:
        """A number among the engine arguments, ``default`` where it is not given or no number."""
        value = self.config.engine.get(name) if self.config else None
        try:
            return float(value) if value is not None else default
        except (TypeError, ValueError):
            return default
