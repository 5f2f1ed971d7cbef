"""Where the outcome of a request of the generate contract goes."""

from __future__ import annotations

from trident.triton.stub.backend import FINAL, Sender
from trident.triton.stub.model import refuse
from trident.triton.stub.outputs import Outputs
from trident.triton.stub.piece import Piece


class Whole:
    """One response with everything."""

    wants_progress = False

    def __init__(self, sender: Sender, request_id: str, outputs: Outputs) -> None:
        self._sender = sender
        self._request_id = request_id
        self._outputs = outputs

    def accepted(self, num_prompt_tokens: int) -> None:
        self._outputs.num_input_tokens = num_prompt_tokens

    def progress(self, pieces: list[Piece]) -> None:
        """Never called: this answer does not want it."""

    def finish(self, pieces: list[Piece], reasons: list[str]) -> None:
        self._sender.send(self._outputs.response(pieces, reasons), flags=FINAL)

    def embedded(self, embedding: list[float]) -> None:
        self._sender.send(self._outputs.embedding(embedding), flags=FINAL)

    def fail(self, code: str, message: str) -> None:
        refuse(self._sender, code, message, self._request_id)

    def is_cancelled(self) -> bool:
        return bool(self._sender.is_cancelled())


class Streamed(Whole):
    """A response for each piece of text; the last one carries Triton's FINAL flag."""

    wants_progress = True

    def progress(self, pieces: list[Piece]) -> None:
        self._sender.send(self._outputs.response(pieces, None))
