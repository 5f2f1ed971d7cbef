"""One request of a client on its way through the stub."""

from __future__ import annotations

from typing import Protocol

from tokenizers import Tokenizer

from trident.protocol.messages import FINISH_REASONS, Accepted, Delta
from trident.triton.stub.detokenizer import Detokenizer

_FAILURES = {
    "abort": ("unavailable", "the engine gave this request up; send it again"),
    "error": ("internal", "the engine failed on this request; its log says why"),
}
"""Finish reasons that are no answer, however much text came before."""

STOP = FINISH_REASONS.index("stop")


class ClientGone(Exception):
    """Nobody reads the answer any more."""


class Answer(Protocol):
    """Where a request's outcome goes: any number of ``progress``, then one ``finish`` or one ``fail``.

    ``progress`` may raise ``ClientGone`` instead: the request is then aborted, and ``fail`` is the last call.
    """

    wants_progress: bool

    def progress(self, texts: list[str]) -> None:
        """New text of each of the ``n`` sequences."""

    def finish(self, texts: list[str], reasons: list[str]) -> None:
        """The last text and the finish reason of each sequence."""

    def fail(self, code: str, message: str) -> None:
        """No more text. ``code`` is one of the protocol's ``REJECTION_CODES``."""


class _Sequence:
    __slots__ = ("detokenizer", "finish", "pending", "stop_token_last")

    def __init__(self, detokenizer: Detokenizer | None) -> None:
        self.detokenizer = detokenizer
        self.pending: list[int] = []
        self.finish: int | None = None
        self.stop_token_last = False

    def text(self) -> str:
        if self.detokenizer is None:
            return ""
        if self.pending:
            pending, self.pending = self.pending, []
            self.detokenizer.feed(pending, stop_token_last=self.stop_token_last)
        return self.detokenizer.take(final=self.finish is not None)


class Stream:
    """Collects tokens and turns them into text when it is time to answer.

    Without stop strings the turning waits until then, as most of its cost is the call; with them each token is
    looked at as it comes, so that the engine can be told to stop.
    """

    __slots__ = ("_looks_for_stop", "_sequences", "answer", "host", "id", "started")

    def __init__(self, id: int, host: int, answer: Answer) -> None:
        self.id = id
        self.host = host
        self.answer = answer
        self.started = False
        self._sequences: list[_Sequence] = []
        self._looks_for_stop = False

    def accept(self, accepted: Accepted, tokenizer: Tokenizer, added: dict[int, str]) -> None:
        """The engine runs the request."""
        self._looks_for_stop = bool(accepted.stop)
        self._sequences = [
            _Sequence(Detokenizer(tokenizer, accepted, added) if accepted.detokenize else None)
            for _ in range(accepted.n)
        ]

    def take(self, delta: Delta) -> bool:
        """Adds tokens; returns True when a stop string ended a sequence that the engine still works on."""
        sequence = self._sequences[delta.index]
        if sequence.finish is not None:
            return False
        stop_token_last = delta.finish == STOP
        if self._looks_for_stop and sequence.detokenizer is not None:
            found = sequence.detokenizer.feed(delta.token_ids, stop_token_last=stop_token_last)
            if found is not None:
                sequence.finish = STOP
                return delta.finish is None
        else:
            sequence.pending.extend(delta.token_ids)
            sequence.stop_token_last = stop_token_last
        sequence.finish = delta.finish
        return False

    @property
    def finished(self) -> bool:
        """Every sequence has its finish reason."""
        return bool(self._sequences) and all(sequence.finish is not None for sequence in self._sequences)

    def answer_now(self) -> None:
        """Sends what has come since the last time, or the end. The first answer goes out even without text: it tells
        the client that its first token is there."""
        first, self.started = not self.started, True
        texts = [sequence.text() for sequence in self._sequences]
        if self.finished:
            reasons = [FINISH_REASONS[sequence.finish or 0] for sequence in self._sequences]
            failure = next((_FAILURES[reason] for reason in reasons if reason in _FAILURES), None)
            if failure is not None:
                self.answer.fail(*failure)
            else:
                self.answer.finish(texts, reasons)
        elif first or any(texts):
            self.answer.progress(texts)
