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


class RequestLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may bring, in bytes, before vLLM looks at it."""

    max_prompt_bytes: int
    max_schema_bytes: int


class HostSpec(Spec, frozen=True, kw_only=True):
    """Everything an engine host needs. ``engine`` and ``openai`` hold vLLM's own argument names, ``loras`` the folders
    of LoRA adapters by name; those in ``lora_dir`` have their folder's name. With ``openai_socket`` the OpenAI server
    listens there, and at no port. ``shares_port``: the port is still that of the host whose place this one takes.
    ``max_running_requests`` None: what the engine can run; the other bounds, None: none. ``histogram_bounds_s`` are
    further bounds, by vLLM's name of a family of histograms. ``core_cpus`` are those that each engine core has for
    itself and ``other_cpus`` everybody else's; both empty: all share all. ``cpu_threads`` are those with which a core
    computes on a CPU; 0: as vLLM and the environment have it."""

    model_path: str
    served_name: str
    engine: dict[str, Any]
    openai: dict[str, Any]
    openai_server: Literal["auto", "rust", "python"]
    openai_host: str
    openai_port: int
    openai_socket: str | None = None
    run_dir: str
    relay_address: str
    heartbeat_s: float
    heartbeat_timeout_s: float
    loras: dict[str, str] = {}
    lora_dir: str | None = None
    shares_port: bool = False
    max_running_requests: int | None = None
    max_queued_requests: int = 10_000
    max_queued_tokens: int | None = None
    max_queue_wait_s: float | None = None
    max_tpot_s: float | None = None
    limits: RequestLimits | None = None
    histogram_bounds_s: dict[str, tuple[float, ...]] = {}
    core_cpus: tuple[tuple[int, ...], ...] = ()
    other_cpus: tuple[int, ...] = ()
    cpu_threads: int = 0

    @property
    def sockets_dir(self) -> Path:
        """Where the engine's sockets are, in sight of the server's user alone."""
        return Path(self.relay_address.removeprefix("ipc://")).parent


SPEC_PARAMETER = "trident"
"""The parameter of a model's ``config.pbtxt`` that holds its ``StubSpec``; a model without it leases its engine."""


class StubSpec(Spec, frozen=True, kw_only=True):
    """Everything a stub needs; it travels in a parameter of the model's ``config.pbtxt``.

    ``relays`` are the addresses of all engine hosts of the model; ``response_share`` is the largest part of one core
    that a busy stub spends on sending responses (see ``triton.stub.pacing``). A request whose engine is lost waits
    ``engine_patience_s`` for another. ``is_traced``: requests carry their trace context on to the engine.
    """

    relays: list[str]
    sockets_dir: str
    start_timeout_s: float
    response_share: float
    defaults: dict[str, Any]
    engine_patience_s: float = 600.0
    is_traced: bool = False


S = TypeVar("S", bound=Spec)


def load(kind: type[S], text: bytes | str) -> S:
    """Raises msgspec.ValidationError when the text is not such a spec."""
    return msgspec.json.decode(text, type=kind)
