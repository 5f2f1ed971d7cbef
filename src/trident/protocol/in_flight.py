"""What a process of an engine says of the requests that it has in flight: one JSON line asked, one answered.

Two of them have such a socket, in the folder that only the server's user can enter: the engine host for what came
through Triton, and vLLM's Python OpenAI server. Nothing is counted or kept for it: whoever asks pays, not the requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

log = logging.getLogger(__name__)

RELAY_SOCKET = "in-flight-relay.sock"
OPENAI_SOCKET = "in-flight-openai.sock"

ASK_TIMEOUT_S = 1.0
LONGEST_LINE_BYTES = 16 * 2**20
LONGEST_PROMPT = 400
"""Characters of a prompt that are told."""


class Question(msgspec.Struct, frozen=True):
    """``most`` requests at the most are told, the oldest; ``prompts``: with the beginning of what they ask."""

    prompts: bool = False
    most: int = 200


class InFlight(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request. ``queued`` is in front of the engine, ``starting`` in it without a token yet, ``decoding`` has some.

    ``door`` is the way it came, ``client`` who asks as far as that is known. ``prompt_tokens`` is None until they are
    counted.
    """

    id: str
    door: str
    model: str
    client: str
    state: Literal["queued", "starting", "decoding"]
    age_s: float
    prompt_tokens: int | None = None
    output_tokens: int = 0
    max_tokens: int | None = None
    prompt: str | None = None


class Told(msgspec.Struct, frozen=True):
    """The oldest requests, and how many there are."""

    requests: list[InFlight]
    total: int


Tell = Callable[[Question], Told]


async def serve(path: Path, tell: Tell) -> asyncio.AbstractServer:
    """Answers at ``path`` from now on. A socket that a killed life has left there is taken over."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, msgspec.DecodeError, asyncio.TimeoutError):
            line = await asyncio.wait_for(reader.readline(), ASK_TIMEOUT_S)
            writer.write(msgspec.json.encode(_told(tell, msgspec.json.decode(line, type=Question))) + b"\n")
            await asyncio.wait_for(writer.drain(), ASK_TIMEOUT_S)
        writer.close()

    path.unlink(missing_ok=True)  # noqa: ASYNC240 - one file of a local folder
    return await asyncio.start_unix_server(talk, path)


def _told(tell: Tell, question: Question) -> Told:
    try:
        return tell(question)
    except Exception:
        # It reads what vLLM keeps for itself; another version may keep it otherwise, and requests must not suffer.
        log.exception("what is in flight cannot be told")
        return Told([], 0)


async def ask(path: Path, question: Question) -> Told | None:
    """None when nobody answers there in time."""
    try:
        return await asyncio.wait_for(_ask(path, question), ASK_TIMEOUT_S)
    except (OSError, ValueError, msgspec.DecodeError, asyncio.TimeoutError):
        return None


async def _ask(path: Path, question: Question) -> Told:
    reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_LINE_BYTES)
    try:
        writer.write(msgspec.json.encode(question) + b"\n")
        return msgspec.json.decode(await reader.readline(), type=Told)
    finally:
        writer.close()


def shortened(text: str) -> str:
    """As much of a prompt as is told."""
    return text if len(text) <= LONGEST_PROMPT else text[: LONGEST_PROMPT - 1] + "…"
