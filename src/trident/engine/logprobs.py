"""Logprobs of one sequence in the protocol's form, made by vLLM's own processor."""

from __future__ import annotations

from vllm.tokenizers import TokenizerLike
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest
from vllm.v1.engine.logprobs import LogprobsProcessor

from trident.protocol.messages import Logprob


class Logprobs:
    """Turns what the engine sends into entries with text, and sums up."""

    __slots__ = ("_processor",)

    def __init__(self, tokenizer: TokenizerLike | None, request: EngineCoreRequest) -> None:
        self._processor = LogprobsProcessor.from_new_request(tokenizer, request)

    def take(self, output: EngineCoreOutput) -> tuple[list[list[Logprob]] | None, float | None]:
        """The candidates of each new token, the sampled one first, and the sum over all sampled so far; None without
        ``logprobs`` in the sampling parameters."""
        processor = self._processor
        if output.new_logprobs is None or processor.logprobs is None:
            return None, processor.cumulative_logprob
        known = len(processor.logprobs)
        processor.update_from_output(output)
        positions = [
            [Logprob(id, entry.logprob, entry.rank, entry.decoded_token) for id, entry in position.items()]
            for position in processor.logprobs[known:]
            if position is not None
        ]
        return positions, processor.cumulative_logprob
