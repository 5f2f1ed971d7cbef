"""The configuration that a tuning begins with, what a candidate makes of it, and how a trial serves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trident.config.models import Config
from trident.tune.records import Changes
from trident.tune.space import Space

Tables = dict[str, Any]
SECRETS = {"security": ("api_key",), "openai": ("api_key",)}
OURS = ("name", "hub")


def tables(config: Config) -> Tables:
    """What differs from the defaults, as ``trident.toml`` has it, without secrets."""
    found = config.model_dump(mode="json", exclude_defaults=True)
    for section, names in SECRETS.items():
        for name in names:
            found.get(section, {}).pop(name, None)
    return {name: value for name, value in found.items() if value != {}}


def changed(base: Mapping[str, Any], changes: Changes, space: Space) -> Tables:
    """The base with ``changes`` in it; a value of None takes the base's own out."""
    found: Tables = {name: dict(value) if isinstance(value, dict) else value for name, value in base.items()}
    for name, value in changes.items():
        section = found.setdefault(space.sections.get(name, "engine"), {})
        if value is None:
            section.pop(name, None)
        else:
            section[name] = value
    return {name: value for name, value in found.items() if value != {}}


def for_a_trial(tables: Mapping[str, Any], ports: Mapping[str, int]) -> Tables:
    """The same on loopback, with ports of its own, without keys, TLS and patience: a trial serves nobody else, and one
    that dies is a result."""
    kept = {name: value for name, value in tables.items() if name not in ("security", "listen", "name")}
    supervision = {**tables.get("supervision", {}), "drain_s": 0.0, "max_restarts": 0}
    return {**kept, "listen": dict(ports), "supervision": supervision}
