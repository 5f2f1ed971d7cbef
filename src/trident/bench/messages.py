"""Between the controller and a worker: msgpack with its length in front, over a socket pair."""

from __future__ import annotations

import asyncio
import struct
from typing import TypeVar

import msgspec

from trident.bench.plan import Load, StopRules, Target, Workload
from trident.bench.result import RequestRow

_LENGTH = struct.Struct("<Q")


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag="prepare"):
    """To a worker: get one load level ready. ``worker`` of ``workers`` takes every ``workers``-th conversation."""

    point: int
    worker: int
    workers: int
    target: Target
    workload: Workload
    load: Load
    stop: StopRules


class Go(msgspec.Struct, frozen=True, tag="go"):
    """Start at this time of the monotonic clock. Times in records are relative to ``origin_ns``."""

    origin_ns: int
    start_ns: int


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Send no more; what is in flight may end within ``drain_s``."""

    drain_s: float


Command = Prepare | Go | Stop


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """From a worker: connections are open, bodies are encoded."""


class Status(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """From a worker, twice a second. Samples are of the requests that ended since the last, before exact counting."""

    sent: int
    sent_warmup: int
    ok: int
    errors: int
    in_flight: int
    events: int
    is_sending: bool
    cpu_s: float
    lag_p99_ms: float
    last_error: str | None
    ttft_ms: list[float] = []
    tpot_ms: list[float] = []
    e2e_ms: list[float] = []


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """From a worker: the load level is over and counted. Arrays are bytes of int64 in ns: ``arrivals`` of all rows one
    after the other (``row.events`` each), ``loop_lag``. ``coalesced`` of ``events`` came in one read with the one
    before."""

    pid: int
    rows: list[RequestRow]
    arrivals: bytes
    loop_lag: bytes
    cpu_s: float
    counting_cpu_s: float
    seconds: float
    coalesced: int
    stopped_by: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """From a worker that cannot go on, in the three parts of an error."""

    what: str
    why: str
    next_step: str


Report = Ready | Status | Done | Failed
M = TypeVar("M")

COMMANDS: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
REPORTS: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


async def send(writer: asyncio.StreamWriter, message: Command | Report) -> None:
    """Raises OSError when the other side has gone."""
    content = msgspec.msgpack.encode(message)
    writer.write(_LENGTH.pack(len(content)) + content)
    await writer.drain()


async def receive(reader: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[M]) -> M:
    """Raises EOFError (asyncio.IncompleteReadError) when the other side has gone."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return decoder.decode(await reader.readexactly(length))
