"""Requests that go on after output tokens which a lost engine has made.

As a longer prompt those tokens would count for nothing: penalties, a grammar's state, ``min_tokens``, bad words and a
seed's place begin at the first output token. vLLM knows requests that are scheduled with output tokens, as they are
after a preemption, but takes none from outside. So EngineCore is taught to before it is forked: the tokens travel in
``SamplingParams.extra_args`` under a name that no client can guess. What the engine makes of it is tried at each start;
where it was not taught (a process that was spawned) the tokens do become part of the prompt.

Seen in vLLM 0.32: ``Request`` holds the tokens for the scheduler and for the GPU's model runner, which gets all of them
and draws by seed and position. The other runner (``v1/worker/gpu_model_runner.py``) makes a ``CachedRequestState``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any

from vllm.config import VllmConfig
from vllm.platforms import current_platform
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.request import Request
from vllm.v1.structured_output import StructuredOutputManager
from vllm.v1.worker.gpu_input_batch import CachedRequestState

from trident.engine.generators import Draws, RewindingGenerator

_ARGUMENT = f"trident_delivered_{secrets.token_hex(16)}"


class Continuation:
    """``in_engine``: the engine takes output tokens; otherwise they become part of the prompt."""

    def __init__(self, config: VllmConfig, *, in_engine: bool) -> None:
        self.in_engine = in_engine
        self._vocabulary_tokens = config.model_config.get_vocab_size()
        self._longest_tokens = config.model_config.max_model_len

    def problem(self, prompt_tokens: int, token_ids: list[int]) -> str | None:
        """Why this engine cannot go on after these tokens; the wrong ones would be its end."""
        if not all(0 <= id < self._vocabulary_tokens for id in token_ids):
            return "its tokens are not of this model"
        if prompt_tokens + len(token_ids) >= self._longest_tokens:
            return f"the engine that came back takes no more than {self._longest_tokens} tokens"
        return None

    def apply(self, request: EngineCoreRequest, token_ids: list[int]) -> None:
        """Makes a request of one sequence go on after ``token_ids``."""
        assert request.sampling_params is not None and request.prompt_token_ids is not None
        # vLLM's sequences of one request share theirs.
        request.sampling_params = params = copy(request.sampling_params)
        params.prompt_logprobs = None
        if self.in_engine:
            params.extra_args = {**(params.extra_args or {}), _ARGUMENT: token_ids}
            return
        request.prompt_token_ids = [*request.prompt_token_ids, *token_ids]
        params.max_tokens = max(1, (params.max_tokens or 1) - len(token_ids))
        params.min_tokens = max(0, params.min_tokens - len(token_ids))


def teach(config: VllmConfig) -> None:
    """Makes engines that are forked from this process take output tokens. Call it before they are."""
    draws = Draws(config)

    @_after(Request, "__init__")
    def append(request: Request) -> None:
        if token_ids := _delivered(request.sampling_params):
            request.append_output_token_ids(token_ids)
            # These are of a prompt that is computed for the first time. The scheduler relies on it: more of this
            # request than its prompt may be in the prefix cache, and that would be the engine's end.
            request.prefill_stats = None

    @_after(CachedRequestState, "__post_init__")
    def fill(state: CachedRequestState) -> None:
        state.output_token_ids += _delivered(state.sampling_params) or []
        if state.generator is not None and current_platform.is_cpu():
            state.generator = RewindingGenerator.of(state.sampling_params.seed, state.output_token_ids, draws)
        elif state.generator is not None:
            draws.take(state.generator, len(state.output_token_ids))

    compile_grammar = StructuredOutputManager._create_grammar

    def compile_and_advance(manager: StructuredOutputManager, request: Request) -> Any:
        grammar = compile_grammar(manager, request)
        if token_ids := _delivered(request.sampling_params):
            _advance(manager, request, grammar, token_ids)
        return grammar

    StructuredOutputManager._create_grammar = compile_and_advance


def _delivered(params: Any) -> list[int] | None:
    return params.extra_args.get(_ARGUMENT) if params is not None and params.extra_args else None


def _after(owner: type[Any], method: str) -> Callable[[Callable[[Any], None]], None]:
    """Calls a function each time that a method has run."""
    original = getattr(owner, method)

    def install(then: Callable[[Any], None]) -> None:
        @wraps(original)
        def both(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            then(self)

        setattr(owner, method, both)

    return install


class _Prefix:
    """A request when its output was shorter, as far as ``_get_constraint_bounds`` looks."""

    def __init__(self, request: Request) -> None:
        self.structured_output_request = request.structured_output_request
        self.prompt_token_ids = request.prompt_token_ids
        self.all_token_ids = list(request.prompt_token_ids or ())


def _advance(manager: StructuredOutputManager, request: Request, grammar: Any, token_ids: list[int]) -> None:
    """``StructuredOutputManager.accept_tokens`` for each of them: where reasoning ends, the grammar begins."""
    prefix = _Prefix(request)
    for token_id in token_ids:
        prefix.all_token_ids.append(token_id)
        bounds = manager._get_constraint_bounds(prefix, [token_id], spec_tokens_committed=True)
        if bounds.grammar_start > 1:
            continue
        prefix.structured_output_request.reasoning_ended = True
        if bounds.grammar_start == 0 and not grammar.accept_tokens(request.request_id, [token_id]):
            raise ValueError(f"the grammar does not accept token {token_id}, which it has let pass before")
