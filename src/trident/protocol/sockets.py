"""Unix sockets that carry the messages.

A stub pushes to its hosts and pulls from a socket of its own, so that both ends can send without waiting and neither
direction can block the other. A full queue is an error for the sender: memory stays bounded when a peer stops reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import zmq

MAX_PATH_BYTES = 100
"""A unix socket's path may have 107 bytes; the rest is for the file's name."""

QUEUE_MESSAGES = 100_000

FAREWELL = "farewell"
"""A file beside the stubs' sockets, once the server stops: there will be no other engine."""

T = TypeVar("T")


class PeerNotReading(Exception):
    """The peer's queue is full or nobody is connected."""


class Codec(Generic[T]):
    """msgpack both ways for one union of messages."""

    def __init__(self, incoming: Any) -> None:
        self.encode = msgspec.msgpack.Encoder().encode
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(incoming)

    def decode(self, frame: bytes) -> T:
        """Raises msgspec.ValidationError for anything that is not one of the messages."""
        return self._decoder.decode(frame)


def address(folder: Path, name: str) -> str:
    """The zmq address of a socket in a run directory."""
    return f"ipc://{folder / name}"


def pull(context: zmq.Context[Any], where: str) -> zmq.Socket[Any]:
    """A bound socket that receives from any number of peers; the file is readable by this user alone."""
    socket: zmq.Socket[Any] = context.socket(zmq.PULL)
    socket.setsockopt(zmq.RCVHWM, QUEUE_MESSAGES)
    socket.setsockopt(zmq.LINGER, 0)
    socket.bind(where)
    Path(where.removeprefix("ipc://")).chmod(0o700)
    return socket


def remove(where: str) -> None:
    """Removes the file of a closed ``pull`` socket, which zmq leaves behind."""
    Path(where.removeprefix("ipc://")).unlink(missing_ok=True)


def push(context: zmq.Context[Any], *, queue_unconnected: bool) -> zmq.Socket[Any]:
    """A socket that sends to one peer and, once told to ``connect``, keeps trying to reach it.

    Answers may queue until the peer is connected. Requests must not: one queued for nobody waits without a deadline.
    """
    socket: zmq.Socket[Any] = context.socket(zmq.PUSH)
    socket.setsockopt(zmq.SNDHWM, QUEUE_MESSAGES)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    socket.setsockopt(zmq.IMMEDIATE, 0 if queue_unconnected else 1)
    return socket


def send(socket: zmq.Socket[Any], *frames: bytes) -> None:
    """Raises PeerNotReading instead of waiting."""
    try:
        socket.send_multipart(frames, zmq.NOBLOCK)
    except zmq.Again as error:
        raise PeerNotReading(str(error)) from error
