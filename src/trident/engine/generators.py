"""What sampling takes from the generators of seeded requests (``v1/sample/ops/topk_topp_sampler.py``, vLLM 0.32).

On a CPU a correction too. vLLM samples a token for every request of a step, also for one whose prompt is computed in
parts and has only begun. That token is thrown away, and what it drew is taken back by moving the generator's offset
(``_bookkeeping_sync`` of ``v1/worker/gpu_model_runner.py``). Generators of a CPU have no offset: torch raises an error,
and that is the engine's end for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from vllm.config import VllmConfig
from vllm.platforms import current_platform


class Draws:
    """How one token draws, on the platform and with the settings of ``config``."""

    def __init__(self, config: VllmConfig) -> None:
        is_double = config.model_config.use_fp64_gumbel
        self._row: torch.Tensor | None = None
        if is_double or not current_platform.is_cpu():
            dtype = torch.float64 if is_double else torch.float32
            self._row = torch.empty(config.model_config.get_vocab_size(), dtype=dtype)

    def take(self, generator: torch.Generator, tokens: int) -> None:
        """As sampling so many tokens does."""
        noise = torch.empty_like(self._row, device=generator.device) if self._row is not None else None
        for _ in range(tokens):
            if noise is None:
                torch.randint(0, 2**31, (1,), generator=generator, dtype=torch.long)
            else:
                noise.exponential_(generator=generator)


class RewindingGenerator(torch.Generator):
    """Takes a draw back by being drawn from anew: once for each token of the request's output."""

    _draws: Draws
    _output_token_ids: Sequence[int]

    @classmethod
    def of(cls, seed: int, output_token_ids: Sequence[int], draws: Draws) -> RewindingGenerator:
        """It stands behind the output, which grows with the request's."""
        generator = cls(device="cpu")
        generator._draws, generator._output_token_ids = draws, output_token_ids
        generator.manual_seed(seed)
        draws.take(generator, len(output_token_ids))
        return generator

    def get_offset(self) -> int:
        """Means nothing; the runner subtracts what one draw takes."""
        return 0

    def set_offset(self, offset: int) -> None:  # noqa: ARG002 - it is always one draw less
        """Takes back what was drawn for a token that was thrown away."""
        self.manual_seed(self.initial_seed())
        self._draws.take(self, len(self._output_token_ids))
