"""From a checked configuration and what the user wants to a search that can be written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from trident import __version__
from trident.config.engine_arguments import EngineArguments
from trident.config.models import Config
from trident.models.resolve import ResolvedModel
from trident.runtime import hardware
from trident.runtime.engine_env import EngineEnv
from trident.tune import base, memory, space
from trident.tune.gate import Gate
from trident.tune.here import Here
from trident.tune.journal import Asked
from trident.tune.knobs import KNOBS, Knob
from trident.tune.loading import Loading
from trident.tune.objective import Objective
from trident.tune.plan import Plan


def asked(
    config: Config,
    model: ResolvedModel,
    env: EngineEnv,
    *,
    objective: Objective,
    loading: Loading,
    plan: Plan,
    vary: Mapping[str, Sequence[Any]],
    knobs: Iterable[Knob] | None = None,
    allow_numerics: bool,
    start_timeout_s: float,
    gate: Gate | None = None,
) -> Asked:
    """``knobs``: others than the prior's. Raises ConfigurationError for a knob of the user's that this vLLM does not
    take."""
    tables = base.tables(config)
    doors = ("engine", "runtime" if loading.api.startswith("openai") else "stubs")
    here = Here.look(env)
    return Asked(
        started_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        trident=__version__,
        vllm=env.vllm_version,
        build=env.build,
        model=config.model or str(model.path),
        objective=objective,
        loading=loading,
        plan=plan,
        space=space.make(
            KNOBS if knobs is None else knobs,
            EngineArguments.read(env.arguments_path),
            tables,
            build=env.build,
            doors=doors,
            allow_numerics=allow_numerics,
            asked=vary,
            lacks=lambda name, value: here.lacks(name, value, config.engine),
        ),
        tables=tables,
        sizes=memory.read(model.path),
        memory_bytes=_memory_bytes(env, config),
        start_timeout_s=start_timeout_s,
        gate=gate,
    )  # fmt: skip


def _memory_bytes(env: EngineEnv, config: Config) -> int:
    """Of the machine, or of as many GPUs as share a replica of the model."""
    found = hardware.detect()
    if env.build == "cpu" or not found.gpus:
        return found.memory_bytes
    sharing = 1
    for name in ("tensor_parallel_size", "pipeline_parallel_size"):
        sharing *= int(config.engine.get(name) or 1)
    return sum(gpu.memory_bytes for gpu in found.gpus[:sharing])
