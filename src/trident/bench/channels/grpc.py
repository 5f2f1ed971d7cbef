"""gRPC with bytes on both sides: nothing is encoded or decoded while the clock runs.

A Python gRPC client spends some 100 µs of CPU on a message, ten times what the HTTP channel does: the client's health
in a result says when that was too much.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc

from trident.bench.exchange import Exchange, Failure

CONNECT_TIMEOUT_S = 10.0
STREAMS_OF_A_CONNECTION = 32
_SERVICE = "/inference.GRPCInferenceService/"
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # else all channels to a server are one connection
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]


class _GrpcChannel:
    def __init__(self, address: str) -> None:
        self._address = address
        self._channels = [grpc.aio.insecure_channel(address, options=_OPTIONS)]
        self._next = 0

    async def open(self, connections: int) -> None:
        """See ``Channel``. Requests share connections, ``STREAMS_OF_A_CONNECTION`` each."""
        wanted = -(-connections // STREAMS_OF_A_CONNECTION)
        while len(self._channels) < wanted:
            self._channels.append(grpc.aio.insecure_channel(self._address, options=_OPTIONS))
        ready = (asyncio.wait_for(channel.channel_ready(), CONNECT_TIMEOUT_S) for channel in self._channels)
        await asyncio.gather(*ready, return_exceptions=True)

    async def close(self) -> None:
        """See ``Channel``."""
        for channel in self._channels:
            await channel.close()

    async def exchange(self, wire: bytes, exchange: Exchange, timeout_s: float) -> None:
        """See ``Channel``."""
        self._next += 1
        channel = self._channels[self._next % len(self._channels)]
        exchange.sent_ns = time.perf_counter_ns()
        try:
            await self._call(channel, wire, exchange, timeout_s)
        except grpc.aio.AioRpcError as error:
            exchange.failure = _failure(error, timeout_s)
        exchange.end_ns = time.perf_counter_ns()

    async def _call(self, channel: Any, wire: bytes, exchange: Exchange, timeout_s: float) -> None:
        raise NotImplementedError


class GrpcUnaryChannel(_GrpcChannel):
    """``ModelInfer``."""

    async def _call(self, channel: Any, wire: bytes, exchange: Exchange, timeout_s: float) -> None:
        piece = await channel.unary_unary(_SERVICE + "ModelInfer")(wire, timeout=timeout_s)
        exchange.stamps_ns.append(time.perf_counter_ns())
        exchange.pieces.append(piece)


class GrpcStreamChannel(_GrpcChannel):
    """``ModelStreamInfer``, a call for each request: its end is the answer's."""

    async def _call(self, channel: Any, wire: bytes, exchange: Exchange, timeout_s: float) -> None:
        call = channel.stream_stream(_SERVICE + "ModelStreamInfer")(timeout=timeout_s)
        await call.write(wire)
        await call.done_writing()
        while (piece := await call.read()) is not grpc.aio.EOF:
            exchange.stamps_ns.append(time.perf_counter_ns())
            exchange.pieces.append(piece)
        code = await call.code()
        if code is not grpc.StatusCode.OK:
            exchange.failure = Failure(_kind(code), (await call.details())[:300])


def _failure(error: Any, timeout_s: float) -> Failure:
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Failure("timeout", f"no end within {timeout_s:g} s")
    return Failure(_kind(error.code()), (error.details() or "")[:300])


def _kind(code: Any) -> str:
    return f"grpc_{code.name.lower()}"
