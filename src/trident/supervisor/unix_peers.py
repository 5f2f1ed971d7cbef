"""Which unix sockets are each other's ends, as the kernel tells everybody (``sock_diag``, man 7)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_SHOW_PEER = 4
_PEER = 2
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ANSWER = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_INODE = struct.Struct("=I")
_ANY_STATE = 0xFFFFFFFF
LONGEST_BYTES = 1 << 16
TIMEOUT_S = 2.0


def peers() -> dict[int, int]:
    """By the inode of each connected unix socket, the inode of its other end. Raises OSError where it is not told."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as asking:
        asking.settimeout(TIMEOUT_S)
        body = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ANY_STATE, 0, _SHOW_PEER, 0, 0)
        asking.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + body)
        return dict(_pairs(asking))


def _pairs(asking: socket.socket) -> Iterator[tuple[int, int]]:
    while True:
        data, start = asking.recv(LONGEST_BYTES), 0
        while start < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, start)
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", data, start + _HEADER.size)[0]
                raise OSError(number, "sock_diag")
            yield from _pair(data[start + _HEADER.size : start + length])
            start += _aligned(length)


def _pair(message: bytes) -> Iterator[tuple[int, int]]:
    inode, start = _ANSWER.unpack_from(message)[4], _ANSWER.size
    while start < len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, start)
        if kind == _PEER:
            yield inode, _INODE.unpack_from(message, start + _ATTRIBUTE.size)[0]
        start += _aligned(length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3
