"""A request's place in front of the engine and in it, with what it will cost as far as its message tells."""

from __future__ import annotations

from typing import Any

from trident.protocol.messages import Submit

BYTES_PER_TOKEN = 4
"""Of text in most languages, more or less; tokenising it to know would cost what a refusal is to save."""
IMAGE_BYTES_PER_TOKEN = 256
"""A photo of 250 KB is a thousand tokens to most models; to guess better it would have to be unpacked."""
UNSAID_TOKENS = 16
"""vLLM's ``max_tokens`` when a prompt's request has none."""
UNBOUNDED_TOKENS = 512
"""Guess for an answer that may be as long as there is room."""
MOST_SEQUENCES = 16_384
"""vLLM's own limit of ``n``."""


class Ticket:
    """One request. The admission moves it on; ``leave``, ``started`` and ``sequence_ended`` tell it what happens.

    ``cost_tokens`` is what its client is charged, prompt and answers together. ``slots`` is the number of its sequences
    that the engine has or will have, ``expires_s`` the deadline and ``ends_s`` its expected end on the admission's
    clock, ``payload`` the caller's.
    """

    __slots__ = (
        "admission",
        "arrived_s",
        "client",
        "cost_tokens",
        "ends_s",
        "expires_s",
        "handed_over_s",
        "has_started",
        "is_continued",
        "is_queued",
        "is_starting",
        "output_tokens",
        "payload",
        "priority",
        "prompt_tokens",
        "size_bytes",
        "slots",
    )

    def __init__(
        self,
        *,
        client: str = "",
        priority: int = 0,
        prompt_tokens: int = 1,
        output_tokens: int = 1,
        slots: int = 1,
        size_bytes: int = 0,
        timeout_s: float | None = None,
        now_s: float = 0.0,
        is_continued: bool = False,
        payload: Any = None,
    ) -> None:
        self.client = client
        self.priority = priority
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.slots = slots
        self.size_bytes = size_bytes
        self.arrived_s = now_s
        self.expires_s = None if timeout_s is None else now_s + timeout_s
        self.is_continued = is_continued
        self.payload = payload
        self.admission: Any = None
        self.cost_tokens = prompt_tokens + slots * output_tokens
        self.is_queued = False
        self.is_starting = False
        self.has_started = False
        self.handed_over_s: float | None = None
        self.ends_s: float | None = None

    @property
    def waited_s(self) -> float:
        """From its arrival until it was handed over, or 0 when it was not."""
        return 0.0 if self.handed_over_s is None else self.handed_over_s - self.arrived_s

    def leave(self) -> None:
        """It is over, or wanted no more; may be said twice."""
        if self.admission is not None:
            self.admission.leave(self)

    def started(self) -> None:
        """The engine has sent its first output."""
        if self.admission is not None:
            self.admission.started(self)

    def sequence_ended(self, made_tokens: int | None) -> None:
        """One of its sequences is complete, with so many tokens where they are counted."""
        if self.admission is not None:
            self.admission.sequence_ended(self, made_tokens)


def ticket(submit: Submit, size_bytes: int, now_s: float, max_model_len: int, payload: Any = None) -> Ticket:
    """The request's place. ``size_bytes`` is its message's; nothing in ``submit`` has been checked yet."""
    image_bytes = sum(map(len, submit.images))
    prompt_tokens = (size_bytes - image_bytes) // BYTES_PER_TOKEN + image_bytes // IMAGE_BYTES_PER_TOKEN
    if submit.prompt_token_ids is not None:
        prompt_tokens = len(submit.prompt_token_ids)
    slots, output_tokens = 1, 0
    if submit.embed is None:
        slots = min(_whole(submit.sampling.get("n"), 1), MOST_SEQUENCES)
        output_tokens = _output_tokens(submit)
    return Ticket(
        client=submit.client,
        priority=submit.priority,
        prompt_tokens=max(1, min(prompt_tokens, max_model_len)),
        output_tokens=min(output_tokens, max_model_len),
        slots=slots,
        size_bytes=size_bytes,
        timeout_s=submit.deadline_s,
        now_s=now_s,
        is_continued=bool(submit.resume_from),
        payload=payload,
    )


def _output_tokens(submit: Submit) -> int:
    given = submit.sampling
    for name in ("max_completion_tokens", "max_tokens"):
        if name in given:
            return _whole(given[name], UNBOUNDED_TOKENS)
    return UNSAID_TOKENS if submit.chat is None else UNBOUNDED_TOKENS


def _whole(value: Any, otherwise: int) -> int:
    """Text counts as the number that it stands for, as at the intake, which will refuse what makes no sense."""
    try:
        return max(1, int(value))
    except (TypeError, ValueError, OverflowError):
        return otherwise
