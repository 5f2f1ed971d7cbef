"""The recipe's contract: ``prompt`` (one or several) in, ``generated_text`` out, one response for each request.

Not decoupled, so plain ``/infer`` works; still answered through response senders, so requests share the engine's
continuous batch instead of waiting for one another.
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

from trident.triton.stub import backend, inputs
from trident.triton.stub.backend import FINAL, Request, Sender
from trident.triton.stub.engine import Engine
from trident.triton.stub.inputs import BadInput
from trident.triton.stub.model import StubModel, refuse

MOST_PROMPTS = 1024
"""Admitting a prompt takes the engine host 0.4 ms, in which nobody else's tokens move: 120,000 in one request, less
than a megabyte, kept the engine from everybody for a minute."""


class TritonPythonModel(StubModel):
    """Triton's entry point."""

    def handle(self, request: Request, sender: Sender) -> None:
        """Every prompt is a request of its own to the engine."""
        prompts = inputs.texts(request, "prompt")
        if len(prompts) > MOST_PROMPTS:
            raise BadInput(f"input 'prompt' has {len(prompts)} elements; expected 1 to {MOST_PROMPTS}")
        sampling = dict(self.spec.defaults)
        for name in ("max_tokens", "temperature"):
            value = inputs.number(request, name)
            if value is not None:
                sampling[name] = value
        gathering = _Gathering(self.engine, sender, len(prompts))
        request_id = request.request_id() or uuid.uuid4().hex
        deadline_s = inputs.deadline_s(request)
        for position, prompt in enumerate(prompts):
            gathering.submit(
                position,
                request_id=f"{request_id}-{position}" if len(prompts) > 1 else request_id,
                prompt=prompt,
                prompt_token_ids=None,
                sampling=sampling,
                deadline_s=deadline_s,
            )


class _Gathering:
    """Collects the answers of one request's prompts; the first failure ends them all."""

    def __init__(self, engine: Engine, sender: Sender, prompts: int) -> None:
        self._engine = engine
        self._sender = sender
        self._texts: list[str | None] = [None] * prompts
        self._ids: list[int] = []
        self._failed = False
        # Triton's thread submits while the engine's may already report a failure; only one of them answers.
        self._lock = threading.Lock()

    def submit(self, position: int, **request: Any) -> None:
        """Raises what ``Engine.submit`` raises, after taking back what was submitted before."""
        if self._failed:
            return
        try:
            id = self._engine.submit(_One(self, position), **request)
        except Exception:
            if self._fails_now():
                raise
            return
        with self._lock:
            self._ids.append(id)
            late = self._failed
        if late:
            self._engine.abort([id])

    def finished(self, position: int, text: str) -> None:
        self._texts[position] = text
        if not self._failed and all(text is not None for text in self._texts):
            texts = [text or "" for text in self._texts]
            self._sender.send(backend.response({"generated_text": texts}), flags=FINAL)

    def failed(self, position: int, code: str, message: str) -> None:
        if not self._fails_now():
            return
        which = f"prompt {position + 1} of {len(self._texts)}: " if len(self._texts) > 1 else ""
        refuse(self._sender, code, which + message)

    def _fails_now(self) -> bool:
        """Marks the request as failed and takes back its prompts; False when it had failed before."""
        with self._lock:
            if self._failed:
                return False
            self._failed = True
            ids = list(self._ids)
        self._engine.abort(ids)
        return True


class _One:
    """The answer to one prompt."""

    wants_progress = False

    def __init__(self, gathering: _Gathering, position: int) -> None:
        self._gathering = gathering
        self._position = position

    def progress(self, texts: list[str]) -> None:
        """Never called: this answer does not want it."""

    def finish(self, texts: list[str], reasons: list[str]) -> None:  # noqa: ARG002
        self._gathering.finished(self._position, texts[0])

    def fail(self, code: str, message: str) -> None:
        self._gathering.failed(self._position, code, message)
