"""What is asked before a request may pass: the same for HTTP and gRPC."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

Fields = Sequence[tuple[bytes, bytes]]


class Request(NamedTuple):
    """The head of a request. ``path`` has no query; names of ``fields`` are in lower case."""

    method: bytes
    path: bytes
    fields: Fields

    def values(self, name: bytes) -> list[bytes]:
        """What the fields of this name say."""
        return [value for known, value in self.fields if known == name]


class Reason(Enum):
    """Why a request is refused, as HTTP says it and as gRPC does."""

    MALFORMED = 400, 3
    NO_KEY = 401, 16
    FORBIDDEN = 403, 7
    TOO_SLOW = 408, 4
    TOO_LARGE = 413, 8
    OVERLOADED = 429, 8
    HEAD_TOO_LARGE = 431, 8
    UNAVAILABLE = 503, 14

    @property
    def http_status(self) -> int:
        """The status code."""
        return self.value[0]

    @property
    def grpc_status(self) -> int:
        """gRPC's number."""
        return self.value[1]


class Refusal(NamedTuple):
    """The answer to a request that does not pass. ``retry_after_s`` is told where trying again helps."""

    reason: Reason
    message: str
    retry_after_s: int | None = None


class Inspector(Protocol):
    """Looks at each head before anything of the request reaches the server behind."""

    def inspect(self, request: Request) -> Refusal | None:
        """None lets it pass."""
        ...
