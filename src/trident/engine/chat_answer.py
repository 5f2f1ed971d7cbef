"""The answer of a chat where a parser is at work: token ids in; content, reasoning and tool calls out.

As in ``vllm/entrypoints/openai/chat_completion/serving.py``: a stream is parsed delta by delta, a whole answer once at
its end. Here vLLM's detokenizer turns ids into text and looks for stop strings; the stub does neither.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from vllm.entrypoints.generate.base.protocol import DeltaToolCall, ToolCall
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionNamedToolChoiceParam, ChatCompletionRequest
from vllm.entrypoints.serve.utils.tool_calls_utils import maybe_filter_parallel_tool_calls
from vllm.parser import Parser
from vllm.renderers.chat_utils import make_tool_call_id
from vllm.tokenizers import TokenizerLike
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
from vllm.v1.engine.detokenizer import IncrementalDetokenizer

from trident.protocol.messages import FINISH_REASONS, Delivered, Parsed

TOOL_CALLS = FINISH_REASONS.index("tool_calls")
_FAILURES = (FinishReason.ABORT, FinishReason.ERROR)


class News(NamedTuple):
    """What one step of the engine means for a chat; ``finish`` indexes ``FINISH_REASONS``."""

    parsed: Parsed | None
    finish: int | None
    stop_reason: int | str | None


class ChatAnswer:
    """One sequence."""

    __slots__ = ("_auto_tools", "_called_tools", "_detokenizer", "_parser", "_prompt_token_ids", "_request")

    def __init__(
        self,
        request: ChatCompletionRequest,
        parser: Parser,
        tokenizer: TokenizerLike,
        sequence: EngineCoreRequest,
        *,
        auto_tools: bool,
    ) -> None:
        params = sequence.sampling_params
        assert params is not None
        self._request = request
        self._parser = parser
        self._prompt_token_ids = sequence.prompt_token_ids or []
        self._detokenizer = IncrementalDetokenizer.from_new_request(tokenizer if params.detokenize else None, sequence)
        self._auto_tools = auto_tools
        self._called_tools = False

    @property
    def hides_tokens(self) -> bool:
        """The client wants no reasoning, and its tokens would tell it (vLLM's rule)."""
        return not self._request.include_reasoning

    def replay(self, delivered: Delivered) -> None:
        """Takes what the client has had from a lost engine, as it came. Raises what vLLM's parsers raise."""
        begin = 0
        for length in delivered.steps:
            self.take(EngineCoreOutput(request_id="", new_token_ids=delivered.token_ids[begin : begin + length]))
            begin += length

    def take(self, output: EngineCoreOutput) -> News:
        """Raises what vLLM's parsers raise."""
        finish, stop_reason = output.finish_reason, output.stop_reason
        known_tokens = self._detokenizer.num_output_tokens()
        stop = self._detokenizer.update(output.new_token_ids, finish is FinishReason.STOP)
        if stop is not None:
            finish, stop_reason = FinishReason.STOP, stop
            _cut(output, self._detokenizer.num_output_tokens() - known_tokens)
        if self._request.stream:
            parsed = self._parse_new(output.new_token_ids, is_finished=finish is not None)
        else:
            parsed = None if finish is None else self._parse_whole()
        return News(parsed, None if finish is None else self._finish(finish), stop_reason)

    def _parse_new(self, token_ids: list[int], *, is_finished: bool) -> Parsed | None:
        text = self._detokenizer.get_next_output_text(is_finished, delta=True)
        message = self._parser.parse_delta(
            text, token_ids, self._request, prompt_token_ids=self._prompt_token_ids, finished=is_finished
        )
        if message is None:
            return None
        self._called_tools = self._called_tools or bool(message.tool_calls)
        maybe_filter_parallel_tool_calls(message, self._request)
        return Parsed(message.content or "", message.reasoning or "", _as_json(message.tool_calls))

    def _parse_whole(self) -> Parsed:
        request = self._request
        self._parser.set_prompt_token_ids(self._prompt_token_ids)
        reasoning, content, calls = self._parser.parse(
            self._detokenizer.get_next_output_text(finished=True, delta=False),
            request,
            enable_auto_tools=self._auto_tools,
            model_output_token_ids=self._detokenizer.output_token_ids,
        )
        wants_calls = self._is_forced or (request.tool_choice == "auto" and self._auto_tools)
        calls = maybe_filter_parallel_tool_calls((calls or []) if wants_calls else [], request)
        self._called_tools = bool(calls)
        tool_calls = [ToolCall(id=call.id or make_tool_call_id(), function=call) for call in calls]
        return Parsed(content or "", (reasoning or "") if request.include_reasoning else "", _as_json(tool_calls))

    def _finish(self, finish: FinishReason) -> int:
        """OpenAI's rule: "tool_calls" when the model chose a tool, "stop" when the client had named it."""
        choice, is_stop = self._request.tool_choice, finish is FinishReason.STOP
        if self._request.stream:
            is_call = is_stop and self._called_tools and not self._is_named
        elif choice == "auto":
            is_call = self._called_tools and finish not in _FAILURES
        else:
            is_call = is_stop and choice == "required"
        return TOOL_CALLS if is_call else int(finish)

    @property
    def _is_named(self) -> bool:
        return isinstance(self._request.tool_choice, ChatCompletionNamedToolChoiceParam)

    @property
    def _is_forced(self) -> bool:
        return self._is_named or self._request.tool_choice == "required"


def _cut(output: EngineCoreOutput, tokens: int) -> None:
    """Drops what a step of several tokens brought after a stop string."""
    if len(output.new_token_ids) > tokens:
        del output.new_token_ids[tokens:]
        if output.new_logprobs is not None:
            output.new_logprobs = output.new_logprobs.slice_request(0, tokens)


def _as_json(calls: Sequence[ToolCall | DeltaToolCall]) -> str:
    return json.dumps([call.model_dump(exclude_none=True) for call in calls], ensure_ascii=False) if calls else ""
