"""A text is judged by that of a quiet run; an error by whether the server had taken the request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest
from hazard_client import Attempt, Client, Outcome, compare
from hazard_requests import Heard, Request

QUIET = Heard(("one two three four five",), 10)
STREAM = Request("stream http", "count", {"max_tokens": 10})
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
EVENT = b'data: {"text_output":"one two three four five","num_output_tokens":10}\n\n'


@pytest.mark.parametrize(
    ("text", "outcome", "why"),
    [
        ("one two three four five", "ok", ""),
        ("one two three three four five", "duplicated", "6 characters come twice"),
        ("one two four five", "corrupted", "6 characters are missing"),
        ("one two", "corrupted", "missing"),
        ("one two threx four five", "corrupted", "other text at character 12"),
        ("one two three four five six", "corrupted", "other text"),
    ],
)
def test_text_is_compared_with_the_quiet_one(text: str, outcome: Outcome, why: str) -> None:
    found, said = compare(STREAM, Heard((text,), 10), QUIET)
    assert found == outcome
    assert why in said


def test_seeded_sampling_is_judged_by_its_number_of_tokens() -> None:
    request = Request("stream http", "count", {"temperature": 1}, is_text_compared=False)
    assert compare(request, Heard(("other",), 10), QUIET)[0] == "ok"
    assert compare(request, Heard(("other",), 9), QUIET)[0] == "corrupted"
    assert compare(request, Heard(("other",), 11), QUIET)[0] == "duplicated"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (HEAD + EVENT, "ok"),
        (HEAD + b'data: {"error":"no engine is ready; it may be restarting"}\n\n', "refused"),
        (HEAD + b'data: {"error":"the engine was lost while it worked on this request"}\n\n', "lost"),
        (HEAD + EVENT + b'data: {"error":"no engine is ready"}\n\n', "lost"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", "refused"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}", "lost"),
        (b"", "lost"),
        (HEAD[:-2], "lost"),
    ],
)
def test_end_of_a_request_is_judged(answer: bytes, outcome: Outcome) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)  # closing with unread data would be a reset
        writer.write(answer)
        await writer.drain()
        writer.close()

    assert asyncio.run(asked(serve)).outcome == outcome


def test_server_that_says_nothing_has_hung() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the client has given up
        writer.close()

    assert asyncio.run(asked(serve, hung_s=0.1)).outcome == "hung"


def test_nobody_who_listens_is_a_refusal() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def ask() -> Attempt:
            client = Client(f"http://127.0.0.1:{port}", "127.0.0.1:1", hung_s=10)
            try:
                return await client.ask(STREAM, QUIET)
            finally:
                await client.close()

        assert asyncio.run(ask()).outcome == "refused"


async def asked(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], hung_s: float = 10
) -> Attempt:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "127.0.0.1:1", hung_s)
    try:
        return await client.ask(STREAM, QUIET)
    finally:
        await client.close()
        server.close()
        await asyncio.sleep(0)
