"""The gRPC side between a real client and a real server of gRPC."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gateway_fakes as fakes
import grpc
import pytest
from gateway_fakes import KEY
from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

from trident.gateway.door import Patience
from trident.gateway.grpc_frames import PREFACE
from trident.gateway.request import Reason, Refusal, Request

RIGHT = (("authorization", f"Bearer {KEY}"),)
METADATA: dict[str, Any] = {
    "none": (),
    "wrong": (("authorization", "Bearer wrong"),),
    "right": RIGHT,
    "other": (("x-api-key", KEY),),
}


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every method: unary ones with the message, Stream with each message twice."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def service(self, details: Any) -> Any:
        self.called.append(details.method)
        if details.method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._one)

    async def _one(self, message: bytes, _: Any) -> bytes:
        return message

    async def _stream(self, messages: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for message in messages:
            yield message
            yield message


@contextlib.asynccontextmanager
async def served(folder: Path, **options: Any) -> AsyncIterator[tuple[Echo, int]]:
    """The server and the door's port."""
    echo = Echo()
    server = grpc.aio.server(handlers=[echo], options=[("grpc.max_receive_message_length", -1)])
    path = folder / "grpc:1"
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        async with fakes.door(path, "grpc", **options) as port:
            yield echo, port
    finally:
        await server.stop(0)


def channel(port: int, certificate: tuple[str, str] | None = None) -> Any:
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    if certificate is None:
        return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
    trusted = grpc.ssl_channel_credentials(Path(certificate[0]).read_bytes())
    return grpc.aio.secure_channel(f"localhost:{port}", trusted, options=options)


async def call(through: Any, metadata: Any = RIGHT, method: str = "/s/One", message: bytes = b"hello") -> bytes:
    return await through.unary_unary(method)(message, metadata=metadata, timeout=10)  # type: ignore[no-any-return]


@pytest.mark.parametrize("has_tls", [False, True])
@pytest.mark.parametrize("key", METADATA)
def test_call_passes_with_a_key_only(tmp_path: Path, certificate: tuple[str, str], key: str, has_tls: bool) -> None:
    async def scenario() -> None:
        files = certificate if has_tls else None
        async with served(tmp_path, certificate=files) as (echo, port), channel(port, files) as through:
            if key in ("right", "other"):
                assert await call(through, METADATA[key]) == b"hello"
                assert await call(through, METADATA[key], message=b"x" * 1900) == b"x" * 1900
                return
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(through, METADATA[key])
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED and "API key" in caught.value.details()
            assert not echo.called
            assert await call(through) == b"hello", "the client may connect again"

    fakes.run(scenario())


def test_questions_after_health_need_no_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path) as (_, port), channel(port) as through:
            for method in ("/inference.GRPCInferenceService/ServerLive", "/grpc.health.v1.Health/Check"):
                assert await call(through, (), method) == b"hello"
            with pytest.raises(grpc.aio.AioRpcError):
                await call(through, (), "/inference.GRPCInferenceService/ModelInfer")

    fakes.run(scenario())


def test_stream_under_way_survives_the_refusal_of_another_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path) as (_, port), channel(port) as through:
            stream = through.stream_stream("/s/Stream")(metadata=RIGHT, timeout=10)
            await stream.write(b"one")
            assert [await stream.read(), await stream.read()] == [b"one", b"one"]
            with pytest.raises(grpc.aio.AioRpcError):
                await call(through, METADATA["wrong"])
            await stream.write(b"two")
            await stream.done_writing()
            assert [await stream.read(), await stream.read()] == [b"two", b"two"]
            assert await stream.read() is grpc.aio.EOF and await stream.code() is grpc.StatusCode.OK
            assert await call(through) == b"hello"

    fakes.run(scenario())


@pytest.mark.parametrize("streams", [False, True])
def test_message_has_a_limit(tmp_path: Path, streams: bool) -> None:
    async def scenario() -> None:
        async with served(tmp_path, most_body_bytes=100_000) as (_, port), channel(port) as through:
            if streams:
                stream = through.stream_stream("/s/Stream")(metadata=RIGHT, timeout=10)
                await stream.write(b"x" * 100_000)
                assert len(await stream.read()) == len(await stream.read()) == 100_000
                await stream.write(b"x" * 100_001)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stream.read()
            else:
                assert len(await call(through, message=b"x" * 100_000)) == 100_000
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call(through, message=b"x" * 2_000_000)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and "limit" in caught.value.details()
            assert await call(through) == b"hello"

    fakes.run(scenario())


def test_inspector_may_answer_in_the_place_of_the_server(tmp_path: Path) -> None:
    class Busy:
        def inspect(self, request: Request) -> Refusal | None:
            return Refusal(Reason.OVERLOADED, "100 % used", 7) if request.path == b"/s/Busy" else None

    async def scenario() -> None:
        async with served(tmp_path, inspectors=[Busy()]) as (echo, port), channel(port) as through:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(through, method="/s/Busy")
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert caught.value.details() == "100 % used"
            assert dict(caught.value.initial_metadata() or caught.value.trailing_metadata())["retry-after"] == "7"
            assert not echo.called

    fakes.run(scenario())


def test_many_calls_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path) as (_, port), channel(port) as through:
            messages = [b"%d" % number * 300 for number in range(50)]
            assert await asyncio.gather(*(call(through, message=message) for message in messages)) == messages

    fakes.run(scenario())


def frames(*made: Frame) -> bytes:
    return PREFACE + SettingsFrame(0).serialize() + b"".join(frame.serialize() for frame in made)


def fields(
    stream: int, *more: tuple[str, str], flags: tuple[str, ...] = ("END_HEADERS",), path: str = "/s/One"
) -> HeadersFrame:
    listed = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), *more]
    return HeadersFrame(stream, data=Encoder().encode(listed), flags=list(flags))


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frames(fields(1, ("a", "b" * 130_000), flags=())),
        frames(fields(1, flags=()), DataFrame(1, b"in between")),
        frames(fields(1, RIGHT[0], (":path", "/s/Two"))),
        frames(fields(3, RIGHT[0], flags=("END_HEADERS", "END_STREAM")), fields(1, RIGHT[0])),
        PREFACE + b"\x00\x00\x04\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02",
        PREFACE + b"\x00\x00\x01\x09\x04\x00\x00\x00\x01\x00",
        PREFACE + b"\x00\x00\x02\x01\x04\x00\x00\x00\x01\xff\xff",
    ],
    ids=["http1", "endless", "interrupted", "two paths", "backwards", "push", "continuation", "unreadable"],
)
def test_odd_frames_end_their_connection_and_nothing_else(tmp_path: Path, sent: bytes) -> None:
    async def scenario() -> None:
        async with served(tmp_path) as (_, port), channel(port) as through:
            assert await call(through) == b"hello"
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(fakes.ask(port, sent), 10)
            assert await call(through) == b"hello"

    fakes.run(scenario())


def test_client_that_shows_no_key_is_sent_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(tmp_path, patience=Patience(unknown_s=0.2)) as (_, port):
            answer = await asyncio.wait_for(fakes.ask(port, frames()), 10)
            assert b"\x07" in answer, "a GOAWAY frame"

    fakes.run(scenario())
