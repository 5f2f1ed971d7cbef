"""What the supervisor tells a child before it starts: one JSON file, written once, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Common encoding of the files."""

    def save(self, path: Path) -> None:
        """Writes the file readable by this user alone (it may hold an API key)."""
        path.touch(mode=0o600)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)))


class HostSpec(Spec, frozen=True, kw_only=True):
    """Everything an engine host needs. ``engine`` and ``openai`` hold vLLM's own argument names, ``loras`` the folders
    of LoRA adapters by name; those in ``lora_dir`` have their folder's name."""

    model_path: str
    served_name: str
    engine: dict[str, Any]
    openai: dict[str, Any]
    openai_server: Literal["auto", "rust", "python"]
    openai_host: str
    openai_port: int
    run_dir: str
    relay_address: str
    heartbeat_s: float
    heartbeat_timeout_s: float
    loras: dict[str, str] = {}
    lora_dir: str | None = None


SPEC_PARAMETER = "trident"
"""The parameter of a model's ``config.pbtxt`` that holds its ``StubSpec``; a model without it leases its engine."""


class StubSpec(Spec, frozen=True, kw_only=True):
    """Everything a stub needs; it travels in a parameter of the model's ``config.pbtxt``.

    ``relays`` are the addresses of all engine hosts of the model; ``response_share`` is the largest part of one core
    that a busy stub spends on sending responses (see ``triton.stub.pacing``).
    """

    relays: list[str]
    sockets_dir: str
    start_timeout_s: float
    response_share: float
    defaults: dict[str, Any]


S = TypeVar("S", bound=Spec)


def load(kind: type[S], text: bytes | str) -> S:
    """Raises msgspec.ValidationError when the text is not such a spec."""
    return msgspec.json.decode(text, type=kind)
