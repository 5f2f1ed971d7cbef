"""What this machine and this build of vLLM can do for a knob at all: replicas need cores or GPUs, a choice of servers
needs two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trident.runtime import hardware
from trident.runtime.engine_env import EngineEnv
from trident.tune.knobs import Build

RUST_SERVER = "lib/python3*/site-packages/vllm/vllm-rs"


@dataclass(frozen=True)
class Here:
    """``gpus`` are those with a working driver."""

    build: Build
    cores: int
    gpus: int
    has_rust_server: bool

    @classmethod
    def look(cls, env: EngineEnv) -> Here:
        """At this machine and this engine environment."""
        found = hardware.detect()
        return cls(env.build, found.cpu_cores, len(found.gpus), any(env.path.glob(RUST_SERVER)))

    def lacks(self, name: str, value: Any, base: Mapping[str, Any]) -> str | None:
        """Why a value of a knob is not for here, None where it may be. ``base``: the engine arguments beside it."""
        if name == "openai_server" and not self.has_rust_server:
            return "this build of vLLM carries the Python server only"
        if name == "data_parallel_size" and value is not None:
            sharing = int(base.get("tensor_parallel_size") or 1) * int(base.get("pipeline_parallel_size") or 1)
            if self.build == "cpu" and value > self.cores:
                return f"{value} replicas want {value} cores, there are {self.cores}"
            if self.build == "cuda" and value * sharing > self.gpus:
                return f"{value} replicas want {value * sharing} GPUs, there are {self.gpus}"
        return None
