"""The recipe's contract: ``prompt`` (one or several) in, ``generated_text`` out, one response for each request.

Not decoupled, so plain ``/infer`` works; still answered through response senders, so requests share the engine's
continuous batch instead of waiting for one another.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from trident.triton.stub import backend, inputs
from trident.triton.stub.backend import FINAL, Request, Sender
from trident.triton.stub.cancellation import EVERY_S
from trident.triton.stub.engine import Engine
from trident.triton.stub.inputs import BadInput
from trident.triton.stub.model import StubModel, refuse
from trident.triton.stub.piece import Piece
from trident.triton.stub.stream import Stream

MOST_PROMPTS = 1024
"""Admitting a prompt takes the engine host 0.4 ms, in which nobody else's tokens move: 120,000 in one request, less
than a megabyte, kept the engine from everybody for a minute."""


class TritonPythonModel(StubModel):
    """Triton's entry point."""

    def handle(self, request: Request, sender: Sender, request_id: str) -> None:
        """Every prompt is a request of its own to the engine."""
        self.engine.check(client="", priority=0)
        prompts = inputs.texts(request, "prompt")
        if len(prompts) > MOST_PROMPTS:
            raise BadInput(f"input 'prompt' has {len(prompts)} elements; expected 1 to {MOST_PROMPTS}")
        sampling = dict(self.spec.defaults)
        for name in ("max_tokens", "temperature"):
            value = inputs.number(request, name)
            if value is not None:
                sampling[name] = value
        gathering = _Gathering(self.engine, sender, request_id, len(prompts))
        deadline_s, trace = inputs.deadline_s(request), self.trace(request)
        for position, prompt in enumerate(prompts):
            gathering.submit(
                position,
                request_id=f"{request_id}-{position}" if len(prompts) > 1 else request_id,
                prompt=prompt,
                prompt_token_ids=None,
                sampling=sampling,
                deadline_s=deadline_s,
                trace=trace,
            )


class _Gathering:
    """Collects the answers of one request's prompts; the first failure ends them all."""

    def __init__(self, engine: Engine, sender: Sender, request_id: str, prompts: int) -> None:
        self._engine = engine
        self._sender = sender
        self._request_id = request_id
        self._texts: list[str | None] = [None] * prompts
        self._streams: list[Stream] = []
        self._has_ended = False
        self._asked_s = 0.0
        # Triton's thread submits while the engine's may already report a failure; only one of them answers. Held while
        # Triton is asked for the client: it forgets the request with its answer.
        self._lock = threading.Lock()

    def submit(self, position: int, **request: Any) -> None:
        """Raises what ``Engine.submit`` raises, after taking back what was submitted before."""
        if self._has_ended:
            return
        try:
            stream = self._engine.submit(_One(self, position), **request)
        except Exception:
            streams = self._end()
            if streams is None:
                return
            self._engine.abort(streams)
            raise
        with self._lock:
            self._streams.append(stream)
            late = self._has_ended
        if late:
            self._engine.abort([stream])

    def finished(self, position: int, text: str) -> None:
        self._texts[position] = text
        if all(text is not None for text in self._texts) and self._end() is not None:
            texts = [text or "" for text in self._texts]
            self._sender.send(backend.response({"generated_text": texts}), flags=FINAL)

    def failed(self, position: int, code: str, message: str) -> None:
        streams = self._end()
        if streams is not None:
            self._engine.abort(streams)
            which = f"prompt {position + 1} of {len(self._texts)}: " if len(self._texts) > 1 else ""
            refuse(self._sender, code, which + message, self._request_id)

    def is_cancelled(self) -> bool:
        """Asked for each prompt; one answer serves for all that ask within ``EVERY_S``."""
        with self._lock:
            now_s = time.monotonic()
            if self._has_ended or now_s < self._asked_s + EVERY_S:
                return False
            self._asked_s = now_s
            return bool(self._sender.is_cancelled())

    def _end(self) -> list[Stream] | None:
        """Marks the request as answered and returns what its prompts have become; None when it was answered before."""
        with self._lock:
            if self._has_ended:
                return None
            self._has_ended = True
            return list(self._streams)


class _One:
    """The answer to one prompt."""

    wants_progress = False

    def __init__(self, gathering: _Gathering, position: int) -> None:
        self._gathering = gathering
        self._position = position

    def accepted(self, num_prompt_tokens: int) -> None:
        """Nobody asks for their number."""

    def progress(self, pieces: list[Piece]) -> None:
        """Never called: this answer does not want it."""

    def finish(self, pieces: list[Piece], reasons: list[str]) -> None:  # noqa: ARG002
        self._gathering.finished(self._position, pieces[0].text)

    def embedded(self, embedding: list[float]) -> None:
        """Never called: this contract asks for no embedding."""

    def fail(self, code: str, message: str) -> None:
        self._gathering.failed(self._position, code, message)

    def is_cancelled(self) -> bool:
        return self._gathering.is_cancelled()
