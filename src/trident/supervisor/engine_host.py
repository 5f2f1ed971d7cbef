"""The engine host as a child of the supervisor."""

from __future__ import annotations

import os
from pathlib import Path

from trident import engine_command
from trident.config.models import Config
from trident.protocol.spec import HostSpec
from trident.runtime.engine_env import EngineEnv
from trident.supervisor.command import Command
from trident.supervisor.state import EngineCounts


def command(
    config: Config, spec: HostSpec, env: EngineEnv, *, name: str, log_path: Path, model: str, version: str = "1"
) -> Command:
    """How the host is run; writes its specification into the configuration's run directory. ``model`` and ``version``
    are Triton's; a model of several contracts is shown under one of them."""
    openai = config.places.openai.local
    spec_path = config.run_dir / "engine-host.json"
    spec.save(spec_path)
    return Command(
        name=name,
        argv=engine_command.argv(env, spec_path),
        env=engine_command.environment(config, env),
        log_path=log_path,
        takes_orders=True,
        counts=EngineCounts(
            folder=os.fspath(engine_command.counts_dir(config)),
            served_name=spec.served_name,
            model=model,
            version=version,
            openai_host=openai.host,
            openai_port=openai.port,
        ),
    )
