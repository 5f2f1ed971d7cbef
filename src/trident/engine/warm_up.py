"""The first requests of an engine are ours: they prove that it answers, and nobody else waits for what they compile."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence

import msgspec
from vllm.config import VllmConfig
from vllm.v1.engine.core_client import AsyncMPClient

from trident.engine.embedding import TASK
from trident.engine.intake import Intake
from trident.protocol.messages import Delivered, Rejected, Submit
from trident.protocol.patience import within

log = logging.getLogger("trident.warm_up")

TIMEOUT_S = 600
TOKENS = 64
"""On some CPU builds a cold worker dies (SIGILL) when its first prefill has 3 tokens; 32 are enough (measured)."""
SAMPLING = ({"temperature": 0.0}, {"top_p": 0.9}, {"top_p": 0.9, "top_k": 20})
"""The kinds with GPU kernels of their own: the first request of a kind compiles them, and the engine stands still for
two seconds (measured on an H100)."""


async def warm_up(client: AsyncMPClient, intake: Intake, config: VllmConfig) -> None:
    """One prefill and two tokens of each kind on each engine, or an embedding. Raises RuntimeError when one of them is
    refused, and TimeoutError when an engine does not answer."""
    replicas = range(config.parallel_config.data_parallel_size)
    prompt = _prompt(config)
    for replica, submit in itertools.product(replicas, _requests(prompt, intake.tasks)):
        await _tokens_of(client, intake, msgspec.structs.replace(submit, replica=replica))
    if "generate" in intake.tasks and len(prompt) + 4 <= config.model_config.max_model_len:
        await _try_to_go_on(client, intake, prompt)


def _prompt(config: VllmConfig) -> list[int]:
    return [1 + i % 50 for i in range(min(TOKENS, config.model_config.max_model_len - 2))]


def _requests(prompt: list[int], tasks: Sequence[str]) -> list[Submit]:
    if "generate" in tasks:
        return [_generation(prompt, 2, **kind) for kind in SAMPLING]
    # Classifiers and the like answer at vLLM's OpenAI server alone.
    return [Submit(0, "warm-up", None, None, {}, embed={"input": prompt})] if TASK in tasks else []


async def _try_to_go_on(client: AsyncMPClient, intake: Intake, prompt: list[int]) -> None:
    """Engines that do not take output tokens, or make something else of them, get them as a prompt from now on."""
    whole = _generation(prompt, 4, temperature=0.0)
    tokens = await _tokens_of(client, intake, whole)
    half = msgspec.structs.replace(whole, resume_from=[Delivered(tokens[:2])])
    rest = await _tokens_of(client, intake, half)
    if rest != tokens[2:]:
        log.warning("this engine does not go on after output tokens: %s, then %s after 2", tokens, rest)
        intake.continuation.in_engine = False


def _generation(prompt: list[int], max_tokens: int, **sampling: float) -> Submit:
    fixed = {"max_tokens": max_tokens, "ignore_eos": True, "detokenize": False}
    return Submit(0, "warm-up", None, prompt, {**fixed, **sampling})


async def _tokens_of(client: AsyncMPClient, intake: Intake, submit: Submit) -> list[int]:
    admitted = await intake.admit(submit)
    if isinstance(admitted, Rejected):
        raise RuntimeError(f"the warm-up request was refused: {admitted.message}")
    await client.add_request_async(admitted.requests[0])
    return await within(TIMEOUT_S, _until_finished(client))


async def _until_finished(client: AsyncMPClient) -> list[int]:
    tokens: list[int] = []
    while True:
        for output in (await client.get_output_async()).outputs:
            tokens += output.new_token_ids
            if output.finish_reason is not None:
                return tokens
