"""The relay's requests as the protocol tells them."""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from trident.engine.admission.ticket import Ticket
from trident.engine.peers import Peer, Sequence
from trident.protocol.in_flight import InFlight, Question, Told, shortened
from trident.protocol.messages import Submit

_INSTANCE = re.compile(r"_\d+_\d+$")
"""How Triton numbers the instances of a model."""


def told(peers: Iterable[Peer], served_name: str, question: Question) -> Told:
    """Touches no more than ``question.most`` requests of each stub: they lie in the order in which they came."""
    stubs = list(peers)
    oldest = [
        (place.arrived_s, peer, id, place)
        for peer in stubs
        for id, place in islice(peer.tickets.items(), question.most)
    ]
    chosen = heapq.nsmallest(question.most, oldest, key=lambda found: found[0])
    now_s = time.monotonic()
    requests = [_one(peer, id, place, served_name, now_s, question.prompts) for _, peer, id, place in chosen]
    return Told(requests, sum(len(peer.tickets) for peer in stubs))


def _one(peer: Peer, id: int, place: Ticket, served_name: str, now_s: float, with_prompt: bool) -> InFlight:
    submit: Submit = place.payload[1]
    sequences = peer.requests.get(id, [])
    return InFlight(
        id=submit.request_id or f"{peer.pid}-{id}",
        door=f"KServe {_INSTANCE.sub('', peer.name)}",
        model=submit.lora_name or served_name,
        client=submit.client,
        state=_state(place, sequences),
        age_s=round(now_s - place.arrived_s, 3),
        prompt_tokens=max((sequence.account.prompt_tokens for sequence in sequences), default=None),
        output_tokens=sum(sequence.account.stats.num_generation_tokens for sequence in sequences)
        + sum(len(delivered.token_ids) for delivered in submit.resume_from if delivered is not None),
        max_tokens=next((sequence.account.max_tokens for sequence in sequences), None),
        prompt=_prompt(submit) if with_prompt else None,
    )


def _state(place: Ticket, sequences: list[Sequence]) -> Any:
    if place.is_queued:
        return "queued"
    # A sequence lets go of its place with the first output.
    return "decoding" if any(sequence.place is None for sequence in sequences) else "starting"


def _prompt(submit: Submit) -> str:
    if submit.prompt is not None:
        return shortened(submit.prompt)
    if submit.chat is not None:
        messages = submit.chat.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else {}
        return shortened(str(last.get("content", "") if isinstance(last, dict) else last))
    if submit.embed is not None:
        return shortened(str(submit.embed.get("input", "")))
    return f"{len(submit.prompt_token_ids or ())} token ids"
