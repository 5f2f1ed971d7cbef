"""What the supervisor tells the gateway before it starts."""

from __future__ import annotations

from typing import Literal

import msgspec

from trident.protocol.spec import Spec


class DoorSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One public port, and the unix socket of the server that it leads to. ``protocol`` also says in which form errors
    are written; ``flag`` sets the port."""

    name: str
    protocol: Literal["kserve", "openai", "metrics", "grpc"]
    host: str
    port: int
    flag: str
    upstream: str


class GatewaySpec(Spec, frozen=True, kw_only=True):
    """Everything the gateway needs. Without ``key_file`` and ``keys`` every request may pass; ``certificate`` and
    ``private_key`` are PEM files."""

    doors: list[DoorSpec]
    key_file: str | None
    keys: list[str]
    certificate: str | None
    private_key: str | None
    max_body_bytes: int
    max_connections: int
