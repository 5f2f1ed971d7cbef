from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.config.models import Config
from trident.errors import ConfigurationError, PortBusy
from trident.supervisor import ports


def listen(**changes: object) -> Config:
    free = {f"{door}_port": fakes.free_port() for door in ("http", "grpc", "metrics", "openai")}
    return Config.model_validate({"listen": {**free, **changes}, "security": {"allow_no_key": True}})


def test_free_ports_pass() -> None:
    ports.probe(listen())


def test_busy_port_is_named_with_its_holder() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortBusy) as caught:
            ports.probe(listen(grpc_port=port))
    name = Path("/proc/self/comm").read_text().strip()
    assert caught.value.what == f"Port {port} for KServe gRPC is busy"
    assert caught.value.why.startswith(f"it is held by process {os.getpid()} (")
    assert name[:6] in caught.value.why
    assert caught.value.next_step == "stop that, or choose another: --grpc-port N"


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give an address of this machine"):
        ports.probe(listen(host="192.0.2.1"))
