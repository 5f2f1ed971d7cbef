"""The outputs of the generate contract, as one request wants them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from trident.protocol.messages import Logprob
from trident.triton.stub import backend
from trident.triton.stub.contract import RETURNS
from trident.triton.stub.piece import Piece

UNFINISHED = "None"
"""What Triton's vLLM backend says for a finish reason before there is one."""


class Outputs:
    """Makes responses. ``wanted`` are names of ``contract.RETURNS``; ``is_chat`` adds what only a chat has.

    Arrays have one element for each of the request's n sequences, but ``num_input_tokens``, which has no dimension.
    """

    def __init__(self, wanted: set[str], *, is_chat: bool = False, prefix: str = "") -> None:
        self._wanted = [name for name in RETURNS if name in wanted]
        self._is_chat = is_chat
        self._prefix = prefix
        self.num_input_tokens = 0

    def response(self, pieces: Sequence[Piece], reasons: Sequence[str] | None) -> Any:
        """One Triton response; ``reasons`` is None while the sequences go on."""
        arrays: dict[str, Any] = {"text_output": [self._prefix + piece.text for piece in pieces]}
        for name in self._wanted:
            arrays[name] = self._array(name, pieces, reasons)
        if self._is_chat:
            arrays["reasoning"] = [piece.reasoning for piece in pieces]
            arrays["tool_calls"] = [piece.tool_calls for piece in pieces]
        return backend.response(arrays)

    def embedding(self, embedding: list[float]) -> Any:
        """One Triton response: the vector as a JSON list."""
        arrays: dict[str, Any] = {"text_output": [json.dumps(embedding)]}
        if "num_input_tokens" in self._wanted:
            arrays["num_input_tokens"] = np.uint32(self.num_input_tokens)
        if "num_output_tokens" in self._wanted:
            arrays["num_output_tokens"] = np.zeros(1, np.uint32)
        return backend.response(arrays)

    def _array(self, name: str, pieces: Sequence[Piece], reasons: Sequence[str] | None) -> Any:
        if name == "finish_reason":
            return list(reasons) if reasons is not None else [UNFINISHED] * len(pieces)
        if name == "cumulative_logprob":
            sums = [math.nan if piece.cumulative_logprob is None else piece.cumulative_logprob for piece in pieces]
            return np.array(sums, np.float32)
        if name == "logprobs":
            return [_logprobs(piece.logprobs) for piece in pieces]
        if name == "num_input_tokens":
            return np.uint32(self.num_input_tokens)
        return np.array([piece.num_tokens for piece in pieces], np.uint32)


def _logprobs(positions: list[list[Logprob]] | None) -> str:
    """JSON: for each new token {token id: {logprob, rank, decoded_token}}, or null when none were asked for."""
    if positions is None:
        return "null"
    return json.dumps(
        [
            {
                str(entry.token_id): {
                    "logprob": entry.logprob,
                    "rank": entry.rank,
                    "decoded_token": entry.decoded_token,
                }
                for entry in position
            }
            for position in positions
        ],
        ensure_ascii=False,
    )
