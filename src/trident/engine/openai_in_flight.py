"""The OpenAI server's requests as the protocol tells them: who asks is known at its door, the tokens in vLLM."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, MutableMapping
from typing import Any

from trident.protocol.in_flight import InFlight, Question, Told, shortened

REQUEST_ID = b"x-request-id"
DIGEST_DIGITS = 64
"""Of a key, which the door knows by its SHA-256; eight of them tell one client from another and give nothing away."""


class Visit:
    """A request inside the door. ``is_queued`` until it may enter vLLM."""

    __slots__ = ("arrived_s", "client", "id", "is_queued", "path")

    def __init__(self, id: str, client: str, path: str) -> None:
        self.id = id
        self.client = client
        self.path = path
        self.arrived_s = time.monotonic()
        self.is_queued = True


def named(scope: MutableMapping[str, Any]) -> tuple[MutableMapping[str, Any], str]:
    """The request with an id, by which vLLM's own is known: the client's, or one of the kind that vLLM would make (and
    then does not)."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID:
            return scope, value.decode("latin-1")
    id = os.urandom(8).hex()
    return {**scope, "headers": [*scope["headers"], (REQUEST_ID, id.encode())]}, id


def told(visits: Iterable[Visit], engine_client: Any, served_name: str, question: Question) -> Told:
    """``engine_client`` is vLLM's AsyncLLM."""
    chosen = sorted(visits, key=lambda visit: visit.arrived_s)
    states = _by_request(engine_client.output_processor.request_states.values())
    now_s = time.monotonic()
    requests = [
        _one(visit, states.get(visit.id, ()), engine_client, served_name, now_s, question.prompts)
        for visit in chosen[: question.most]
    ]
    return Told(requests, len(chosen))


def _by_request(states: Iterable[Any]) -> dict[str, list[Any]]:
    """By the id that the door knows. vLLM's ids are KIND-ID, and KIND-ID-NUMBER for one of several prompts."""
    found: dict[str, list[Any]] = {}
    for state in states:
        id = state.external_req_id.partition("-")[2]
        for known in (id, id.rpartition("-")[0]):
            if known:
                found.setdefault(known, []).append(state)
    return found


def _one(visit: Visit, states: Any, engine_client: Any, served_name: str, now_s: float, with_prompt: bool) -> InFlight:
    state = "queued" if visit.is_queued else "starting"
    if any(not sequence.is_prefilling for sequence in states):
        state = "decoding"
    return InFlight(
        id=visit.id,
        door=f"OpenAI {visit.path.removeprefix('/v1/')}",
        model=next((sequence.lora_name for sequence in states if sequence.lora_name), served_name),
        client=_who(visit.client),
        state=state,  # type: ignore[arg-type]
        age_s=round(now_s - visit.arrived_s, 3),
        prompt_tokens=sum(sequence.prompt_len for sequence in states if sequence.request_index == 0) or None,
        output_tokens=sum(_made(sequence) for sequence in states),
        max_tokens=next((sequence.max_tokens_param for sequence in states), None),
        prompt=_prompt(states, engine_client) if with_prompt else None,
    )


def _who(client: str) -> str:
    return f"key {client[:8]}" if len(client) == DIGEST_DIGITS else client


def _made(sequence: Any) -> int:
    return int(sequence.detokenizer.num_output_tokens()) if sequence.detokenizer is not None else 0


def _prompt(states: Any, engine_client: Any) -> str | None:
    for sequence in states:
        if sequence.prompt:
            return shortened(sequence.prompt)
        if sequence.prompt_token_ids:
            # The end of a chat is what was asked; its beginning is mostly the same for all.
            return shortened(str(engine_client.get_tokenizer().decode(sequence.prompt_token_ids[-200:])))
    return None
