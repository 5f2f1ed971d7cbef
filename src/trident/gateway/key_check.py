"""The first inspector: no request without a key, but for questions after health."""

from __future__ import annotations

from trident.gateway.keys import Keys
from trident.gateway.request import Reason, Refusal, Request

OPEN: dict[str, frozenset[tuple[bytes, bytes]]] = {
    "kserve": frozenset({(b"GET", b"/v2/health/live"), (b"GET", b"/v2/health/ready")}),
    "openai": frozenset({(b"GET", b"/health")}),
    "metrics": frozenset(),
    "grpc": frozenset(
        (b"POST", path)
        for path in (
            b"/inference.GRPCInferenceService/ServerLive",
            b"/inference.GRPCInferenceService/ServerReady",
            b"/grpc.health.v1.Health/Check",
        )
    ),
}
"""By protocol, what needs no key: load balancers and orchestrators ask for health, and get one bit."""

NO_KEY = Refusal(Reason.NO_KEY, "this server wants an API key: send it as authorization: Bearer KEY, or as x-api-key")
WRONG_KEY = Refusal(Reason.NO_KEY, "the API key is not one of this server's")


class KeyCheck:
    """An inspector for one door."""

    def __init__(self, keys: Keys, protocol: str) -> None:
        self._keys = keys
        self._open = OPEN[protocol]
        # A browser asks with OPTIONS, and never with a key, whether a page may ask; vLLM answers as it is configured.
        self._has_preflight = protocol == "openai"

    def is_open(self, request: Request) -> bool:
        """It may pass without a key."""
        return (request.method, request.path) in self._open or (self._has_preflight and request.method == b"OPTIONS")

    def has_key(self, request: Request) -> bool:
        """Whether the client is known, as everybody is where there are no keys."""
        return not self._keys or any(self._keys.accept(key) for key in _presented(request))

    def inspect(self, request: Request) -> Refusal | None:
        """Asks for a key also where the path is open: the connection decides what that means."""
        if self.has_key(request):
            return None
        return WRONG_KEY if _presented(request) else NO_KEY


def _presented(request: Request) -> list[bytes]:
    """At most two, so that nobody tries a thousand keys with one request."""
    bearers = [value.partition(b" ") for value in request.values(b"authorization")[:1]]
    keys = [key.strip() for scheme, _, key in bearers if scheme.lower() == b"bearer"]
    return [*keys, *request.values(b"x-api-key")[:1]]
