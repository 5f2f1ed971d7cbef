"""The TCP connections of another process, which may be closed from here.

A request that tritonserver has given to a stub that died is never answered, and its client would wait for ever.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Collection
from dataclasses import dataclass

from trident.supervisor.foreign_socket import Gone, lent

_SO_COOKIE = 57
_TCP_INFO_BYTES = 256
_RECEIVED_AT, _SENT_AT = 128, 200
"""Where ``tcpi_bytes_received`` and ``tcpi_bytes_sent`` stand in ``struct tcp_info`` (Linux 4.19)."""
_LAST_SENT_AT, _LAST_RECEIVED_AT = 44, 52
"""And ``tcpi_last_data_sent`` and ``tcpi_last_data_recv``, in milliseconds ago."""

ACKNOWLEDGEMENT_BYTES = 64
"""Less than any request: what gRPC says of pings and windows."""


@dataclass(frozen=True)
class Connection:
    """One that a client has made to ``port``; ``cookie`` names it for ever. Byte counts are from the process's side.
    ``answered_s`` is how long it had been silent at ``seen_s`` of the monotonic clock since the process had the last
    word, 0 when it had not."""

    cookie: int
    port: int
    fd: int
    received_bytes: int
    sent_bytes: int
    answered_s: float = 0.0
    seen_s: float = 0.0


def of(pid: int, ports: Collection[int]) -> list[Connection]:
    """Those that are open. Raises OSError when the system does not allow it; takes milliseconds for a hundred."""
    import psutil

    try:
        listed = psutil.Process(pid).net_connections("tcp")
    except psutil.Error as error:
        raise ProcessLookupError(str(error)) from error
    found = []
    for known in listed:
        if known.status == psutil.CONN_ESTABLISHED and known.laddr.port in ports:
            with contextlib.suppress(Gone), lent(pid, known.fd) as copy:
                found.append(_described(known.laddr.port, known.fd, copy))
    return found


def shut(pid: int, connection: Connection) -> bool:
    """Both ends see its end. False, and nothing is done, when it has brought anything since ``connection`` was seen.
    Raises OSError when the system does not allow it."""
    with contextlib.suppress(Gone), lent(pid, connection.fd) as copy:
        if _cookie(copy) == connection.cookie:
            now = _described(connection.port, connection.fd, copy)
            if now.received_bytes - connection.received_bytes > ACKNOWLEDGEMENT_BYTES:
                return False
            copy.shutdown(socket.SHUT_RDWR)
    return True


def _described(port: int, fd: int, copy: socket.socket) -> Connection:
    info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(info) < _SENT_AT + 8:
        raise Gone
    (received,), (sent,) = struct.unpack_from("Q", info, _RECEIVED_AT), struct.unpack_from("Q", info, _SENT_AT)
    (sent_ms,), (received_ms,) = (
        struct.unpack_from("I", info, _LAST_SENT_AT),
        struct.unpack_from("I", info, _LAST_RECEIVED_AT),
    )
    answered_s = sent_ms / 1000 if sent and sent_ms <= received_ms else 0.0
    return Connection(_cookie(copy), port, fd, received, sent, answered_s, time.monotonic())


def _cookie(copy: socket.socket) -> int:
    return int.from_bytes(copy.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8), "little")
