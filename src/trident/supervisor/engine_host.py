"""The engine host as a child of the supervisor."""

from __future__ import annotations

from pathlib import Path

from trident import engine_command
from trident.config.models import Config
from trident.protocol.spec import HostSpec
from trident.runtime.engine_env import EngineEnv
from trident.supervisor.child import Command


def command(config: Config, spec: HostSpec, env: EngineEnv, *, name: str, log_path: Path) -> Command:
    """How the host is run; writes its specification into the configuration's run directory."""
    spec_path = config.run_dir / "engine-host.json"
    spec.save(spec_path)
    return Command(
        name=name,
        argv=engine_command.argv(env, spec_path),
        env=engine_command.environment(config, env),
        log_path=log_path,
    )
