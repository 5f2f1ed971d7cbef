"""What is different in a new configuration, and whether a running server can take it over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trident.config.models import Config
from trident.errors import ConfigurationError

RELOADABLE = (
    "model",
    "hub",
    "engine",
    "openai",
    "adapters",
    "admission",
    "limits.max_prompt_bytes",
    "limits.max_schema_bytes",
    "limits.max_n",
    "runtime.offline",
    "runtime.openai_server",
    "supervision.drain_s",
    "supervision.heartbeat_s",
    "supervision.heartbeat_timeout_s",
    "supervision.start_timeout_s",
    "supervision.stop_timeout_s",
)
FIXED = ("openai.api_key",)
"""The gateway's, which is not reloaded."""
SUPERVISOR_S = ("supervision.drain_s", "supervision.start_timeout_s", "supervision.stop_timeout_s")
"""Known to the supervisor alone: the engine stays as it is."""


@dataclass(frozen=True)
class Change:
    """One setting by its name in ``trident.toml``, with its two values."""

    name: str
    before: Any
    after: Any

    @property
    def is_reloadable(self) -> bool:
        """A running server can take it over."""
        return _is_of(self.name, RELOADABLE) and self.name not in FIXED

    @property
    def needs_engine(self) -> bool:
        """It is another engine's."""
        return not _is_of(self.name, SUPERVISOR_S)

    def __str__(self) -> str:
        if self.name.endswith("api_key"):
            return f"{self.name}: another"
        return f"{self.name}: {_shown(self.before)} → {_shown(self.after)}"


def between(before: Config, after: Config) -> list[Change]:
    """All of them, in the order of the configuration."""
    return list(_between("", before.model_dump(mode="json"), after.model_dump(mode="json")))


def check(before: Config, after: Config) -> list[Change]:
    """The same. Raises ConfigurationError for what a running server cannot change, with the names of all of it."""
    if before.model is None or after.model is None:
        raise ConfigurationError(
            "There is no engine to reload" if before.model is None else "A reload needs a MODEL",
            "models of the repositories have engines of their own, which come and go with them",
            "with --model-control-mode explicit use Triton's own load and unload, else restart: trident stop, serve",
        )
    found = between(before, after)
    fixed = [str(change) for change in found if not change.is_reloadable]
    if fixed:
        raise ConfigurationError(
            f"A running server cannot change {', '.join(change.name for change in found if not change.is_reloadable)}",
            "; ".join(fixed),
            "set it back, or restart: trident stop, then trident serve",
        )
    return found


def _between(name: str, before: Any, after: Any) -> list[Change]:
    if isinstance(before, dict) and isinstance(after, dict) and name.count(".") < 1:
        keys = list(dict.fromkeys([*before, *after]))
        return [
            change
            for key in keys
            for change in _between(f"{name}.{key}" if name else key, before.get(key), after.get(key))
        ]
    return [] if before == after else [Change(name, before, after)]


def _is_of(name: str, settings: tuple[str, ...]) -> bool:
    return name in settings or name.partition(".")[0] in settings


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)
