"""The engine hosts of a model as one stub sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import zmq

from trident.protocol import sockets
from trident.protocol.messages import EngineReady, FromHost, Hello
from trident.triton.stub.link import Link


class EngineUnavailable(Exception):
    """No engine host can take a request now."""


class Hosts:
    """Connections to all of them, by their place in ``relays``. They belong to the thread that polls ``monitors``;
    ``send`` and ``least_loaded`` may be called from any."""

    def __init__(
        self, context: zmq.Context[Any], relays: list[str], greeting: Hello, codec: sockets.Codec[FromHost]
    ) -> None:
        self._links = [Link(context, relay, greeting, codec) for relay in relays]

    @property
    def monitors(self) -> list[zmq.Socket[Any]]:
        """What to poll; ``heed`` when one of them has something."""
        return [link.monitor for link in self._links]

    def ready(self, host: int) -> EngineReady | None:
        """The host's greeting, another object each time that it has come (back); None while it is away."""
        return self._links[host].ready

    def least_loaded(self, busy: Iterable[int | None]) -> int:
        """The host with the fewest of ``busy``, which has an entry for each running request. Raises
        EngineUnavailable."""
        load = [0] * len(self._links)
        for host in busy if len(load) > 1 else ():
            if host is not None:
                load[host] += 1
        ready = [(load[host], host) for host, link in enumerate(self._links) if link.ready is not None]
        if not ready:
            raise EngineUnavailable("no engine is ready; it may be restarting, try again soon")
        return min(ready)[1]

    def send(self, host: int, message: Any) -> None:
        """Raises sockets.PeerNotReading when it is not there, OverflowError for an integer beyond 64 bits."""
        self._links[host].send(message)

    def heed(self, monitor: zmq.Socket[Any], on_lost: Callable[[int], None]) -> None:
        """Greets a host that has come and reports one that has gone."""
        for link in self._links:
            if link.monitor is monitor:
                link.heed(lambda lost: on_lost(self._links.index(lost)))

    def welcome(self, ready: EngineReady) -> None:
        """A host takes requests from now on."""
        for link in self._links:
            if link.relay == ready.relay_address:
                link.ready = ready

    def lose(self, epoch: int) -> list[int]:
        """Those that had that engine; they take no requests until they are welcomed again."""
        lost = [host for host, link in enumerate(self._links) if link.ready is not None and link.ready.epoch == epoch]
        for host in lost:
            self._links[host].ready = None
        return lost

    def close(self) -> None:
        """Ends the connections."""
        for link in self._links:
            link.close()
