"""What is new in one sequence since the last response."""

from __future__ import annotations

from dataclasses import dataclass

from trident.protocol.messages import Logprob


@dataclass
class Piece:
    """``num_tokens`` and ``logprobs`` are of the new tokens, ``cumulative_logprob`` of all so far; the last two are
    None unless asked for. ``reasoning`` and ``tool_calls`` (a JSON list, or nothing) are a chat's."""

    __slots__ = ("cumulative_logprob", "logprobs", "num_tokens", "reasoning", "text", "tool_calls")

    text: str
    num_tokens: int
    logprobs: list[list[Logprob]] | None
    cumulative_logprob: float | None
    reasoning: str
    tool_calls: str

    @property
    def is_empty(self) -> bool:
        """There is nothing that a reader would see."""
        return not (self.text or self.reasoning or self.tool_calls)
