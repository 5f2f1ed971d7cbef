from __future__ import annotations

import msgspec
import pytest

from trident.protocol.messages import (
    Abort,
    Accepted,
    Delivered,
    Delta,
    EngineLost,
    EngineReady,
    FromHost,
    FromStub,
    Hello,
    Rejected,
    Stopped,
    Submit,
    Tokens,
)
from trident.protocol.sockets import Codec

FROM_STUB = [
    Hello(1, 42, "generate_0_0", "ipc:///x"),
    Submit(id=7, request_id="r", prompt="你好", prompt_token_ids=None, sampling={"temperature": 0.0, "stop": ["a"]}),
    Submit(
        id=8,
        request_id="",
        prompt=None,
        prompt_token_ids=[1, 2],
        sampling={},
        resume_from=[Delivered([3], [1]), None],
        replica=1,
    ),
    Submit(id=9, request_id="", prompt="x", prompt_token_ids=None, sampling={}, client="ann"),
    Abort([1, 2]),
    Stopped(1, 0),
]
FROM_HOST = [
    Accepted(1, [1, 2], 1, ["x"], False, 0, True, True, True),
    Rejected(1, "invalid", "temperature must be non-negative"),
    Rejected(1, "overloaded", "9 requests wait; retry after 3 s", 3.0),
    Tokens([Delta(1, [5, 6]), Delta(2, [], 1, 3, "stop")]),
    EngineReady(1, 9, "ipc:///r", "demo", 2048, 1, "/t.json"),
    EngineLost(9, "gone"),
]


@pytest.mark.parametrize("message", FROM_STUB, ids=lambda m: type(m).__name__)
def test_message_of_a_stub_survives_the_wire(message: FromStub) -> None:
    codec: Codec[FromStub] = Codec(FromStub)
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize("message", FROM_HOST, ids=lambda m: type(m).__name__)
def test_message_of_a_host_survives_the_wire(message: FromHost) -> None:
    codec: Codec[FromHost] = Codec(FromHost)
    assert codec.decode(codec.encode(message)) == message


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x93\xa5Hello\x01\x02", b"\x91\xa7Unknown", b"\x80"])
def test_codec_refuses_what_is_no_message(frame: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        Codec(FromStub).decode(frame)


def test_message_of_the_wrong_direction_is_refused() -> None:
    codec: Codec[FromStub] = Codec(FromStub)
    with pytest.raises(msgspec.ValidationError):
        codec.decode(codec.encode(EngineLost(1, "x")))
