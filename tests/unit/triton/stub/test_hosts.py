from __future__ import annotations

import os
from pathlib import Path

import zmq

from trident.protocol import sockets
from trident.protocol.messages import VERSION, EngineReady, FromHost, FromStub, Hello
from trident.triton.stub.hosts import Hosts
from trident.triton.stub.link import hello

DEADLINE_MS = 5000


def test_host_is_not_ready_at_a_new_connection_whatever_the_one_before_has_said(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    address = sockets.address(tmp_path, "relay.sock")
    hosts = Hosts(context, [address], hello("stub", "ipc:///nobody"), sockets.Codec[FromHost](FromHost))
    hosts.welcome(EngineReady(VERSION, 1, address, "m", 99, 1, "tokenizer.json"))  # it died right after it
    assert hosts.ready(0) is not None
    inbound = sockets.pull(context, address)
    try:
        (monitor,) = hosts.monitors
        assert monitor.poll(DEADLINE_MS)
        lost: list[int] = []
        hosts.heed(monitor, lost.append)
        assert hosts.ready(0) is None and lost == [0]
        assert inbound.poll(DEADLINE_MS)
        sender, frame = inbound.recv_multipart()
        assert int.from_bytes(sender, "little") == os.getpid()
        assert isinstance(sockets.Codec[FromStub](FromStub).decode(frame), Hello)
    finally:
        hosts.close()
        inbound.close()
        context.destroy(linger=0)
