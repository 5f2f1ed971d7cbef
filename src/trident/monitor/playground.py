"""Passes a chat of the page on to the model's OpenAI door, and its stream back. When the page goes the connection goes,
and the engine stops working on it."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from trident.config.models import Config
from trident.config.places import Place
from trident.monitor.http_server import Exchange
from trident.supervisor.state import ServerState

CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 600.0
"""A request may wait for its turn for long; the page shows that it does, and has a button to stop it."""
PIECE_BYTES = 64 * 1024
PATH = b"/v1/chat/completions"


class Wanted(msgspec.Struct):
    """Of the request's body, what says where it goes."""

    model: str


def place_of(config: Config, found: ServerState, model: str) -> Place | None:
    """Where the server of a model's OpenAI door listens; None when there is no such model."""
    doors = found.openai_doors
    if model not in doors:
        return None
    if config.model is not None and model == found.model.get("name"):
        return config.places.openai.local
    if config.has_gateway:
        return config.model_copy(update={"name": f"{config.name}/engines/{model}"}).places.openai
    url = urlsplit(doors[model])
    return Place(url.hostname or "127.0.0.1", url.port or 0)


async def chat(exchange: Exchange, config: Config, found: ServerState | None) -> None:
    """Answers in the OpenAI server's own words."""
    try:
        model = msgspec.json.decode(exchange.body, type=Wanted).model
    except msgspec.DecodeError as error:
        await _refuse(exchange, HTTPStatus.BAD_REQUEST, f"the body is no chat: {error}")
        return
    place = place_of(config, found, model) if found is not None else None
    if place is None:
        await _refuse(exchange, HTTPStatus.NOT_FOUND, f"there is no model {model}")
        return
    try:
        reader, writer = await asyncio.wait_for(_connected(place), CONNECT_TIMEOUT_S)
    except (OSError, asyncio.TimeoutError) as error:
        await _refuse(exchange, HTTPStatus.BAD_GATEWAY, f"the OpenAI server does not answer: {error}")
        return
    passing = asyncio.ensure_future(_pass(exchange, reader, writer))
    leaving = asyncio.ensure_future(exchange.until_gone())
    try:
        await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (passing, leaving):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, EOFError, asyncio.TimeoutError):
            await passing
        writer.close()


async def _connected(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if place.socket is not None:
        return await asyncio.open_unix_connection(Path(place.socket))
    return await asyncio.open_connection(place.host, place.port)


async def _pass(exchange: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    length = str(len(exchange.body)).encode()
    writer.write(
        b"POST " + PATH + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: " + length + b"\r\n\r\n" + exchange.body
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SILENCE_TIMEOUT_S)
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}
    kept = {name.title(): fields[name] for name in ("content-length", "transfer-encoding", "retry-after")
            if name in fields}  # fmt: skip
    await exchange.begin(int(first.split()[1]), fields.get("content-type", "application/json"), kept)
    while piece := await asyncio.wait_for(reader.read(PIECE_BYTES), SILENCE_TIMEOUT_S):
        await exchange.send(piece)


async def _refuse(exchange: Exchange, status: HTTPStatus, why: str) -> None:
    body = msgspec.json.encode({"error": {"message": why, "type": status.phrase, "code": status.value}})
    await exchange.answer(status, "application/json", body)
