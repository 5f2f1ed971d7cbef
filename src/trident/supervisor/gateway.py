"""The gateway as a child of the supervisor, and what can be said of its files before anything starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.gateway import tls
from trident.gateway.keys import Keys
from trident.gateway.spec import DoorSpec, GatewaySpec
from trident.supervisor.command import Command
from trident.supervisor.ports import door_flag

PROTOCOLS = {"KServe HTTP": "kserve", "KServe gRPC": "grpc", "Triton metrics": "metrics", "OpenAI": "openai"}


def check(config: Config) -> None:
    """Raises ConfigurationError for keys and certificates that cannot be used."""
    security = config.security
    try:
        Keys(config.api_keys, security.api_key_file)
    except ValueError as error:
        raise ConfigurationError(
            "The API keys cannot be used", str(error), "mend that: head -c 32 /dev/urandom | base64 makes a key"
        ) from error
    if security.tls_cert is None or security.tls_key is None:
        return
    try:
        tls.context(os.fspath(security.tls_cert), os.fspath(security.tls_key), is_http2=False)
    except ValueError as error:
        raise ConfigurationError("TLS cannot be used", str(error), "give PEM files: --tls-cert, --tls-key") from error


def command(config: Config, doors: Sequence[str], *, name: str, log_path: Path) -> Command:
    """How it is run for ``doors`` (names of ``config.listen.ports``); writes its specification into the run directory,
    for this user alone: keys must not stand in a command line."""
    path = config.run_dir / "gateway.json"
    spec(config, doors).save(path)
    return Command(
        name=name,
        argv=[sys.executable, "-m", "trident.gateway", os.fspath(path)],
        env=os.environ,
        log_path=log_path,
    )


def spec(config: Config, doors: Sequence[str]) -> GatewaySpec:
    """What it is told."""
    security, limits = config.security, config.limits
    return GatewaySpec(
        doors=[_door(config, name) for name in doors],
        key_file=_text(security.api_key_file),
        keys=config.api_keys,
        certificate=_text(security.tls_cert),
        private_key=_text(security.tls_key),
        max_body_bytes=limits.max_body_bytes,
        max_connections=limits.max_connections,
    )


def _door(config: Config, name: str) -> DoorSpec:
    places = config.places
    upstreams = {
        "KServe HTTP": places.http.socket,
        "KServe gRPC": places.grpc_socket,
        "Triton metrics": places.metrics.socket,
        "OpenAI": places.openai.socket,
    }
    return DoorSpec(
        name=name,
        protocol=PROTOCOLS[name],  # type: ignore[arg-type]
        host=config.listen.host,
        port=config.listen.ports[name],
        flag=f"--{door_flag(name)}",
        upstream=upstreams[name] or "",
    )


def _text(file: Path | None) -> str | None:
    return os.fspath(file) if file is not None else None
