"""Triton's Python backend module exists only in its stubs; this one stands in for it at that seam."""

from __future__ import annotations

import queue
from types import ModuleType
from typing import Any

import numpy as np

from trident.triton.stub.piece import Piece


class Tensor:
    def __init__(self, name: str, array: Any) -> None:
        self.name = name
        self.array = array

    def as_numpy(self) -> Any:
        return self.array


class TritonError:
    INVALID_ARG, UNSUPPORTED, NOT_FOUND, UNAVAILABLE, CANCELLED, INTERNAL = range(6)

    def __init__(self, message: str, code: int) -> None:
        self.message = message
        self.code = code


class InferenceResponse:
    def __init__(self, tensors: Any = (), error: TritonError | None = None) -> None:
        self.tensors = {tensor.name: tensor.array.tolist() for tensor in tensors}
        self.error = error


def piece(text: str) -> Piece:
    """One token's worth of text, without anything that is only sent when asked for."""
    return Piece(text, 1, None, None, "", "")


class Heard:
    """An answer that keeps what it is told, texts only."""

    def __init__(self, *, wants_progress: bool = True) -> None:
        self.wants_progress = wants_progress
        self.said: queue.SimpleQueue[tuple[str, ...]] = queue.SimpleQueue()
        self.pieces: list[Piece] = []
        self.num_prompt_tokens: int | None = None
        self.cancelled = False

    def accepted(self, num_prompt_tokens: int) -> None:
        self.num_prompt_tokens = num_prompt_tokens

    def progress(self, pieces: list[Piece]) -> None:
        self.pieces += pieces
        self.said.put(("progress", *[piece.text for piece in pieces]))

    def finish(self, pieces: list[Piece], reasons: list[str]) -> None:
        self.pieces += pieces
        self.said.put(("finish", *[piece.text for piece in pieces], *reasons))

    def embedded(self, embedding: list[float]) -> None:
        self.said.put(("embedded", *map(str, embedding)))

    def fail(self, code: str, message: str) -> None:
        self.said.put(("fail", code, message))

    def is_cancelled(self) -> bool:
        return self.cancelled

    def next(self) -> tuple[str, ...]:
        """What is said next; waits for it."""
        return self.said.get(timeout=10)

    def all(self) -> list[tuple[str, ...]]:
        """What has been said since the last look."""
        return [self.said.get_nowait() for _ in range(self.said.qsize())]


class Sender:
    """Keeps what was sent; ``final`` is the flag of the last."""

    def __init__(self) -> None:
        self.responses: list[InferenceResponse] = []
        self.final = False
        self.cancelled = False

    def is_cancelled(self) -> bool:
        return self.cancelled

    def send(self, response: InferenceResponse, flags: int = 0) -> None:
        assert not self.final, "something was sent after the last response"
        self.responses.append(response)
        self.final = bool(flags)


class Request:
    """A request with arrays by input name."""

    def __init__(self, inputs: dict[str, Any], parameters: str = "{}", id: str = "", timeout_us: int = 0) -> None:
        self.inputs = {name: np.array(value) for name, value in inputs.items()}
        self.sender = Sender()
        self._parameters = parameters
        self._id = id
        self._timeout_us = timeout_us

    def get_response_sender(self) -> Sender:
        return self.sender

    def parameters(self) -> str:
        return self._parameters

    def request_id(self) -> str:
        return self._id

    def timeout(self) -> int:
        return self._timeout_us


def strings(*texts: str) -> Any:
    return np.array([text.encode() for text in texts], dtype=object)


def module() -> ModuleType:
    module: Any = ModuleType("triton_python_backend_utils")
    module.Tensor = Tensor
    module.TritonError = TritonError
    module.InferenceResponse = InferenceResponse
    module.get_input_tensor_by_name = lambda request, name: (
        Tensor(name, request.inputs[name]) if name in request.inputs else None
    )
    return module  # type: ignore[no-any-return]


class Engine:
    """Keeps what was submitted, or raises ``problem`` at the submission number ``at``."""

    def __init__(self, problem: Exception | None = None, at: int = 1) -> None:
        self.submitted: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        self.aborted: list[int] = []
        self._problem = problem
        self._at = at
        self.checked: tuple[str, int] | None = None

    def check(self, client: str, priority: int) -> None:
        self.checked = (client, priority)

    def submit(self, answer: Any, **request: Any) -> int:
        if self._problem and len(self.submitted) + 1 == self._at:
            raise self._problem
        self.answers.append(answer)
        self.submitted.append(request)
        return len(self.submitted)

    def abort(self, ids: list[int]) -> None:
        self.aborted.extend(ids)
