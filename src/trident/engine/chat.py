"""Chats: rendered, defaulted and parsed by vLLM's own classes, set up as its OpenAI server sets them up.

Both doors must make the same prompt and the same answer of the same messages. Where vLLM has no function for a step, it
is done as in ``vllm/entrypoints/openai/chat_completion/serving.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
from vllm.config import VllmConfig
from vllm.entrypoints.launchers.cli_args import resolve_default_chat_template_kwargs
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.entrypoints.serve.utils.api_utils import get_max_tokens
from vllm.exceptions import VLLMValidationError
from vllm.parser import Parser
from vllm.parser.metrics import init_parser_metrics
from vllm.reasoning import ReasoningParserManager
from vllm.renderers import BaseRenderer
from vllm.renderers.chat_utils import ChatTemplateResolutionError, load_chat_template
from vllm.renderers.online_renderer import OnlineRenderer
from vllm.sampling_params import SamplingParams
from vllm.tool_parsers import ToolParserManager
from vllm.utils import length_from_prompt_token_ids_or_embeds
from vllm.v1.engine import EngineCoreRequest

from trident.engine.chat_answer import ChatAnswer
from trident.engine.chat_request import AMONG_SAMPLING, chat_request, refused
from trident.engine.sampling import Refused, sampling_params
from trident.protocol.messages import Submit


@dataclass
class Rendered:
    """A chat request ready for the engine.

    There is a parser for each of the ``n`` sequences, or none at all: then the answer is plain text.
    """

    prompt: Any
    params: SamplingParams
    request: ChatCompletionRequest
    parsers: list[Parser]
    reasoning_ended: bool | None
    reasoning_parser_kwargs: dict[str, Any] | None


class Chat:
    """The chats of one engine. ``args`` are those of the OpenAI server."""

    def __init__(self, args: argparse.Namespace, config: VllmConfig, renderer: BaseRenderer) -> None:
        """Raises what vLLM raises for a template or parser that it cannot use."""
        if args.tool_parser_plugin:
            ToolParserManager.import_tool_parser(args.tool_parser_plugin)
        if args.reasoning_parser_plugin:
            ReasoningParserManager.import_reasoning_parser(args.reasoning_parser_plugin)
        if args.tool_call_parser:
            # The OpenAI server does so for itself: its /metrics adds up what both count.
            init_parser_metrics(model_name=config.model_config.served_model_name)
        self._model = model = config.model_config
        self._auto_tools = args.enable_auto_tool_choice
        self._renderer = OnlineRenderer(
            model,
            renderer,
            request_logger=None,
            chat_template=load_chat_template(args.chat_template),
            chat_template_content_format=args.chat_template_content_format,
            trust_request_chat_template=args.trust_request_chat_template,
            trust_request_mm_kwargs=args.trust_request_mm_kwargs,
            enable_auto_tools=args.enable_auto_tool_choice,
            exclude_tools_when_tool_choice_none=args.exclude_tools_when_tool_choice_none,
            tool_parser=args.tool_call_parser,
            reasoning_parser=config.structured_outputs_config.reasoning_parser,
            tool_strict_level=args.tool_strict_level,
            default_chat_template_kwargs=resolve_default_chat_template_kwargs(args),
        )
        self._tokenizer = renderer.get_tokenizer()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="chats", daemon=True).start()
        self._defaults = model.get_diff_sampling_param()
        is_a_folder = model.generation_config not in ("auto", "vllm")
        self._most_tokens: int | None = (
            self._defaults.get("max_tokens") if is_a_folder else model.override_generation_config.get("max_new_tokens")
        )

    def warm_up(self) -> None:
        """Compiles the chat template."""
        self._renderer.warmup()

    async def render(self, submit: Submit) -> Rendered:
        """Raises Refused, and what vLLM raises for a bad request.

        On a thread, so that nobody else's tokens stand still for a long conversation: a thousand messages take 30 ms.
        """
        rendering = asyncio.run_coroutine_threadsafe(self._render(submit), self._loop)
        return await asyncio.wrap_future(rendering)

    def answers(self, chat: Rendered, sequences: list[EngineCoreRequest]) -> list[ChatAnswer]:
        """What reads the engine's tokens of each sequence; none where the answer is plain text."""
        return [
            ChatAnswer(chat.request, parser, self._tokenizer, sequence, auto_tools=self._auto_tools)
            for parser, sequence in zip(chat.parsers, sequences, strict=False)
        ]

    async def _render(self, submit: Submit) -> Rendered:
        fields = dict(submit.chat or {})
        sampling = {**self._defaults, "max_tokens": None}
        for name, value in submit.sampling.items():
            if value is not None or name not in sampling:  # null leaves the default
                (fields if name in AMONG_SAMPLING else sampling)[name] = value
        params = sampling_params(msgspec.structs.replace(submit, sampling=sampling))
        request = chat_request(fields, params, params.max_tokens)
        template_kwargs = self._renderer.effective_chat_template_kwargs(request)
        parsers = self._parsers(request, template_kwargs, params.n)
        prompt = await self._prompt(request)
        # Parsers change the request while it is rendered: with tools, what the engine may say and what is text.
        params = msgspec.structs.replace(
            params,
            max_tokens=self._max_tokens(request, prompt),
            structured_outputs=request.extract_structured_outputs(),
            skip_special_tokens=request.skip_special_tokens,
            spaces_between_special_tokens=request.spaces_between_special_tokens,
        )
        parser = parsers[0] if parsers else None
        thinks = parser is not None and parser.reasoning_parser is not None
        return Rendered(
            prompt,
            params,
            request,
            parsers,
            reasoning_ended=request.resolve_reasoning_ended(parser, prompt.get("prompt_token_ids") or []),
            reasoning_parser_kwargs={"chat_template_kwargs": template_kwargs} if thinks else None,
        )

    def _parsers(self, request: ChatCompletionRequest, template_kwargs: dict[str, Any], n: int) -> list[Parser]:
        kind = self._renderer.parser
        if kind is None:
            return []
        return [
            kind(self._tokenizer, request.tools, chat_template_kwargs=template_kwargs, model_config=self._model)
            for _ in range(n)
        ]

    async def _prompt(self, request: ChatCompletionRequest) -> Any:
        try:
            rendered = await self._renderer.render_chat(request)
        except ChatTemplateResolutionError as error:
            raise Refused(
                "unsupported",
                "input 'messages': this model has no chat template; send the prompt itself as 'text_input', or serve "
                "with chat_template under [openai]",
            ) from error
        except (pydantic.ValidationError, VLLMValidationError) as error:
            raise refused(error) from error
        except ValueError as error:  # such as an image for a model that sees none
            raise Refused("invalid", f"input 'messages': {error}") from error
        if isinstance(rendered, ErrorResponse):
            message = rendered.error.message
            name = "tools" if "tool" in message else "chat_template_kwargs"
            raise Refused("invalid", f"input {name!r}: {message}")
        (prompt,) = rendered[1]
        return prompt

    def _max_tokens(self, request: ChatCompletionRequest, prompt: Any) -> int:
        wanted = request.max_completion_tokens
        return get_max_tokens(
            self._model.max_model_len,
            request.max_tokens if wanted is None else wanted,
            length_from_prompt_token_ids_or_embeds(prompt.get("prompt_token_ids"), prompt.get("prompt_embeds")),
            self._defaults,
            self._most_tokens,
            truncate_prompt_tokens=request.truncate_prompt_tokens,
        )
