"""Where the servers behind the doors listen: on the public ports themselves, or on unix sockets behind the gateway.

A place is written as tritonserver's flags have it: an address and a port, or ``unix:PATH`` and a port without meaning.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

UNIX = "unix:"


class Place(NamedTuple):
    """Where one server listens."""

    host: str
    port: int

    @property
    def socket(self) -> str | None:
        """The path of the unix socket, None for TCP."""
        return self.host.removeprefix(UNIX) if self.host.startswith(UNIX) else None

    @property
    def local(self) -> Place:
        """The same as a client on this machine says it."""
        return Place(local_host(self.host), self.port)


class Places(NamedTuple):
    """All of one server's."""

    http: Place
    grpc: Place
    metrics: Place
    openai: Place

    @property
    def grpc_socket(self) -> str | None:
        """The path at which tritonserver's gRPC really is: it puts a colon and the port behind."""
        return f"{self.grpc.socket}:{self.grpc.port}" if self.grpc.socket else None


def local_host(host: str) -> str:
    """The address that a client on this machine uses."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def behind_the_gateway(folder: Path) -> Places:
    """Sockets in a folder that this user alone may enter: nobody gets round the gateway."""
    http, grpc, metrics, openai = (Place(f"{UNIX}{folder}/{name}", 1) for name in ("http", "grpc", "metrics", "openai"))
    return Places(http, grpc, metrics, openai)


def without_gateway(host: str, http_port: int, grpc_port: int, metrics_port: int, openai_port: int) -> Places:
    """The doors themselves."""
    return Places(*(Place(host, port) for port in (http_port, grpc_port, metrics_port, openai_port)))
