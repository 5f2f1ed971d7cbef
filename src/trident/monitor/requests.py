"""The requests that the engines have in flight now, asked of the engines' own processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from trident.config import paths
from trident.protocol import in_flight
from trident.protocol.in_flight import OPENAI_SOCKET, RELAY_SOCKET, Question, Told
from trident.supervisor.state import ChildState


async def asked(engines: Iterable[ChildState], question: Question) -> Told:
    """Of all engines together, the oldest first. One that does not answer within a second is left out."""
    sockets = [
        paths.sockets_dir(Path(child.counts.folder).parent) / name
        for child in engines
        if child.counts is not None
        for name in (RELAY_SOCKET, OPENAI_SOCKET)
    ]
    answers = await asyncio.gather(*(in_flight.ask(path, question) for path in sockets))
    known = [answer for answer in answers if answer is not None]
    requests = sorted((one for answer in known for one in answer.requests), key=lambda one: -one.age_s)
    return Told(requests[: question.most], sum(answer.total for answer in known))
