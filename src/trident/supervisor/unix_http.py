"""The standard library's HTTP client over a unix socket."""

from __future__ import annotations

import http.client
import socket


class UnixHTTPConnection(http.client.HTTPConnection):
    """Blocking, as its base class is; ``path`` is the socket's."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connects. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection(host: str, port: int, unix_socket: str | None, timeout_s: float) -> http.client.HTTPConnection:
    """To a unix socket where there is one, else to the address."""
    if unix_socket is not None:
        return UnixHTTPConnection(unix_socket, timeout_s)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)
