"""Finds out before anything is started whether the ports are free."""

from __future__ import annotations

import errno
import socket

from trident.config.models import Config
from trident.errors import ConfigurationError, PortBusy


def probe(config: Config) -> None:
    """Raises PortBusy for the first port that somebody else has, ConfigurationError for one that nobody can have."""
    for door, port in config.ports.items():
        probe_one(config.listen.host, port, door)
    if config.monitor.monitor:
        probe_monitor(config)


def probe_monitor(config: Config) -> None:
    """The same for the monitor's port."""
    probe_one(config.monitor_host, config.monitor.monitor_port, "Monitor")


def probe_one(host: str, port: int, door: str) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: without it a port would look taken for a minute after its server has ended.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror as error:
        raise ConfigurationError(
            f"Cannot listen on {host}", error.strerror or "no such address", "give an address of this machine: --host"
        ) from error
    except OSError as error:
        raise _explain(error, host, port, door) from error


def _explain(error: OSError, host: str, port: int, door: str) -> PortBusy | ConfigurationError:
    flag = f"--{door_flag(door)}"
    if error.errno == errno.EADDRINUSE:
        return PortBusy(
            f"Port {port} for {door} is busy",
            f"it is held by {holder(port)}",
            f"stop that, or choose another: {flag} N",
        )
    if error.errno == errno.EACCES:
        return ConfigurationError(
            f"Port {port} for {door} is not allowed", "this user may not listen below 1024", f"choose another: {flag} N"
        )
    return ConfigurationError(
        f"Cannot listen on {host}:{port} for {door}",
        error.strerror or str(error),
        "give an address of this machine: --host",
    )


def door_flag(door: str) -> str:
    """The flag that sets a door's port."""
    return {
        "KServe HTTP": "http-port",
        "KServe gRPC": "grpc-port",
        "Triton metrics": "metrics-port",
        "OpenAI": "openai-port",
        "Monitor": "monitor-port",
    }[door]


def holder(port: int) -> str:
    """Who listens on a port, in words; other users' processes are seen by root alone."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process (which one is not visible to this user)"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return "a process of another user"
            return f"process {connection.pid} ({_command_name(connection.pid)})"
    return "a process that is not visible here"


def _command_name(pid: int) -> str:
    import psutil

    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return "ended meanwhile"


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    try:
        probe_one(host, port, "OpenAI")
    except (PortBusy, ConfigurationError):
        return False
    return True


def first_free(host: str, first: int, taken: set[int]) -> int:
    """The first port from ``first`` up that nobody has and nobody is meant to have. Raises PortBusy."""
    for port in range(first, 65536):
        if port not in taken and is_free(host, port):
            return port
    raise PortBusy(f"No port from {first} up is free", "every one is taken", "end what listens there")
