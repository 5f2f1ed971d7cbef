"""The stub's connection to one engine host, and its life."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from trident.protocol import sockets
from trident.protocol.messages import VERSION, EngineReady, FromHost, Hello


class Link:
    """Sends to one host and knows whether it is there.

    ``send`` may be called from any thread; everything else belongs to the thread that polls ``monitor``.
    """

    def __init__(self, context: zmq.Context[Any], relay: str, hello: Hello, codec: sockets.Codec[FromHost]) -> None:
        self.relay = relay
        self.ready: EngineReady | None = None
        self._hello = hello
        self._codec = codec
        self._sender = os.getpid().to_bytes(4, "little")
        self._lock = threading.Lock()
        self._socket = sockets.push(context, queue_unconnected=False)
        # Before connecting, or the first event may have come and gone.
        self.monitor: zmq.Socket[Any] = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self._socket.connect(relay)

    def send(self, message: Any) -> None:
        """Raises sockets.PeerNotReading when the host is not there, OverflowError for an integer beyond 64 bits."""
        frame = self._codec.encode(message)
        with self._lock:
            sockets.send(self._socket, self._sender, frame)

    def heed(self, on_lost: Callable[[Link], None]) -> None:
        """Reads the connection's events: greets a host that has come, reports one that has gone."""
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor)["event"]
            # At a new connection too: its host drops what was sent to it before the greeting, and the welcome of the
            # one that went may have been read after it had gone.
            self.ready = None
            on_lost(self)
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                with contextlib.suppress(sockets.PeerNotReading):  # gone again: its farewell is the next event
                    self.send(self._hello)

    def close(self) -> None:
        """Says nothing: the host watches the process."""
        self._socket.disable_monitor()
        self.monitor.close()
        self._socket.close()


def hello(name: str, address: str) -> Hello:
    """This process's greeting."""
    return Hello(VERSION, os.getpid(), name, address)
