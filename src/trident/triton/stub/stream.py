"""One request of a client on its way through the stub."""

from __future__ import annotations

import json
from array import array
from typing import Any, Protocol

from tokenizers import Tokenizer

from trident.protocol.messages import FINISH_REASONS, Accepted, Delivered, Delta, EngineReady, Logprob, Parsed, Submit
from trident.triton.stub.detokenizer import Detokenizer
from trident.triton.stub.piece import Piece

_FAILURES = {
    "abort": ("unavailable", "the engine gave this request up; send it again"),
    "error": ("internal", "the engine failed on this request; its log says why"),
}
"""Finish reasons that are no answer, however much text came before."""

STOP = FINISH_REASONS.index("stop")


class Answer(Protocol):
    """Where a request's outcome goes: ``accepted``, any number of ``progress``, then one ``finish`` or ``embedded``;
    or, at any point, one ``fail``."""

    wants_progress: bool

    def accepted(self, num_prompt_tokens: int) -> None:
        """The engine works on it."""

    def progress(self, pieces: list[Piece]) -> None:
        """What is new in each of the ``n`` sequences."""

    def finish(self, pieces: list[Piece], reasons: list[str]) -> None:
        """The last piece and the finish reason of each sequence."""

    def embedded(self, embedding: list[float]) -> None:
        """The answer to a request for an embedding."""

    def fail(self, code: str, message: str) -> None:
        """No more text. ``code`` is one of the protocol's ``REJECTION_CODES``, or "cancelled"."""

    def is_cancelled(self) -> bool:
        """Whether the client has gone. A round trip to Triton; never called after the outcome."""


class _Sequence:
    __slots__ = (
        "_cumulative_before",
        "_cumulative_logprob",
        "_logprobs",
        "_num_tokens",
        "_parsed",
        "_pending",
        "_steps",
        "_stop_token_last",
        "_token_ids",
        "detokenizer",
        "finish",
    )

    def __init__(self, detokenizer: Detokenizer | None, *, counts_steps: bool) -> None:
        self.detokenizer = detokenizer
        self.finish: int | None = None
        # Kept for as long as the request runs, so as numbers of four bytes.
        self._token_ids = array("I")
        self._steps = array("I") if counts_steps else None
        self._cumulative_before = 0.0
        self._num_tokens = 0
        self._pending: list[int] = []
        self._stop_token_last = False
        self._parsed: list[Parsed] = []
        self._logprobs: list[list[Logprob]] | None = None
        self._cumulative_logprob: float | None = None

    def take(self, delta: Delta, *, looks_for_stop: bool) -> bool:
        """True when these tokens completed a stop string."""
        self._num_tokens += len(delta.token_ids)
        self._token_ids.extend(delta.token_ids)
        if self._steps is not None:
            self._steps.append(len(delta.token_ids))
        if delta.logprobs is not None:
            if delta.cumulative_logprob is not None:
                self._cumulative_logprob = self._cumulative_before + delta.cumulative_logprob
            if self._logprobs is None:
                self._logprobs = delta.logprobs
            else:
                self._logprobs += delta.logprobs
        if delta.parsed is not None:
            self._parsed.append(delta.parsed)
        stop_token_last = delta.finish == STOP
        if looks_for_stop and self.detokenizer is not None:
            return self.detokenizer.feed(delta.token_ids, stop_token_last=stop_token_last) is not None
        if self.detokenizer is not None:
            self._pending += delta.token_ids
        self._stop_token_last = stop_token_last
        return False

    def delivered(self) -> Delivered:
        """All that has come. Another engine goes on from there, and begins to sum up anew."""
        self._cumulative_before = self._cumulative_logprob or 0.0
        return Delivered(self._token_ids.tolist(), self._steps.tolist() if self._steps is not None else [])

    def piece(self) -> Piece:
        """What has come since the last time."""
        text = self._text()
        reasoning = tool_calls = ""
        if self._parsed:
            parsed, self._parsed = self._parsed, []
            text = "".join([part.content for part in parsed])
            reasoning = "".join([part.reasoning for part in parsed])
            tool_calls = _joined([part.tool_calls for part in parsed if part.tool_calls])
        piece = Piece(text, self._num_tokens, self._logprobs, self._cumulative_logprob, reasoning, tool_calls)
        self._num_tokens = 0
        if self._logprobs is not None:
            self._logprobs = []
        return piece

    def put_back(self, piece: Piece) -> None:
        """The piece that has just been taken was not worth a response: its tokens count for the next one."""
        self._num_tokens = piece.num_tokens
        if piece.logprobs:
            self._logprobs = piece.logprobs

    def _text(self) -> str:
        if self.detokenizer is None:
            return ""
        if self._pending:
            pending, self._pending = self._pending, []
            self.detokenizer.feed(pending, stop_token_last=self._stop_token_last)
        return self.detokenizer.take(final=self.finish is not None)


def _joined(lists: list[str]) -> str:
    """One JSON list of several."""
    if len(lists) < 2:
        return "".join(lists)
    return json.dumps([item for text in lists for item in json.loads(text)], ensure_ascii=False)


class Stream:
    """Collects tokens and turns them into text when it is time to answer.

    Without stop strings the turning waits until then, as most of its cost is the call; with them each token is
    looked at as it comes, so that the engine can be told to stop.

    ``request`` are the fields of its ``Submit`` but ``id``, which is another one each time that it is submitted.
    ``engine`` is the one that it was submitted to last; ``host`` is None while it waits for one to go on. ``lost_s``
    and ``losses`` say since when and how often engines have been lost under it without a token in between. Once every
    sequence has its finish reason it is ``finished``.
    """

    __slots__ = (
        "_looks_for_stop",
        "_request",
        "_sequences",
        "answer",
        "engine",
        "finished",
        "host",
        "id",
        "losses",
        "lost_s",
        "started",
        "submitted_s",
    )

    def __init__(self, id: int, host: int, answer: Answer, request: dict[str, Any], now_s: float) -> None:
        self.id = id
        self.host: int | None = host
        self.answer = answer
        self.started = False
        self.finished = False
        self.engine: EngineReady | None = None
        self.lost_s: float | None = None
        self.losses = 0
        self._request = request
        self.submitted_s = now_s
        self._sequences: list[_Sequence] = []
        self._looks_for_stop = False

    def progressed(self) -> None:
        """An engine has made a token of it; perhaps one that is known to be lost, whose last ones come after that."""
        if self.host is None:
            self.losses = 1
        else:
            self.lost_s, self.losses = None, 0

    @property
    def is_accepted(self) -> bool:
        """An engine has begun with it."""
        return bool(self._sequences)

    @property
    def client(self) -> str:
        """Who asks, as far as the client says."""
        return str(self._request.get("client", ""))

    @property
    def priority(self) -> int:
        """A lower number is more urgent."""
        return int(self._request.get("priority", 0))

    def overdue_in_s(self, now_s: float) -> float | None:
        """Seconds until the client's deadline; None without one."""
        deadline_s = self._request.get("deadline_s")
        return None if deadline_s is None else self.submitted_s + deadline_s - now_s

    def submission(self, now_s: float) -> Submit:
        """The request; when an engine had begun with it, to go on where it was lost."""
        given = {**self._request, "deadline_s": self.overdue_in_s(now_s)}
        rest = [None if sequence.finish is not None else sequence.delivered() for sequence in self._sequences]
        return Submit(id=self.id, **given, resume_from=rest)

    def accept(self, accepted: Accepted, tokenizer: Tokenizer, added: dict[int, str]) -> None:
        """The engine runs the request. When it goes on with it, nothing is begun anew."""
        if self.is_accepted:
            return
        self.answer.accepted(len(accepted.prompt_token_ids))
        self._looks_for_stop = bool(accepted.stop)
        counts_steps = self._request.get("chat") is not None
        self._sequences = [
            _Sequence(
                Detokenizer(tokenizer, accepted, added) if accepted.detokenize else None, counts_steps=counts_steps
            )
            for _ in range(accepted.n)
        ]

    def take(self, delta: Delta) -> bool:
        """Adds tokens; returns True when a stop string ended a sequence that the engine still works on."""
        sequence = self._sequences[delta.index]
        if sequence.finish is not None:
            return False
        is_stopped = sequence.take(delta, looks_for_stop=self._looks_for_stop)
        sequence.finish = STOP if is_stopped else delta.finish
        if sequence.finish is not None:
            self.finished = all(each.finish is not None for each in self._sequences)
        return is_stopped and delta.finish is None

    def answer_now(self) -> None:
        """Sends what has come since the last time, or the end. The first answer goes out even without text: it tells
        the client that its first token is there."""
        first, self.started = not self.started, True
        pieces = [sequence.piece() for sequence in self._sequences]
        if self.finished:
            reasons = [FINISH_REASONS[sequence.finish or 0] for sequence in self._sequences]
            failure = next((_FAILURES[reason] for reason in reasons if reason in _FAILURES), None)
            if failure is not None:
                self.answer.fail(*failure)
            else:
                self.answer.finish(pieces, reasons)
        elif first or not all(piece.is_empty for piece in pieces):
            self.answer.progress(pieces)
        else:
            for sequence, piece in zip(self._sequences, pieces, strict=True):
                sequence.put_back(piece)
