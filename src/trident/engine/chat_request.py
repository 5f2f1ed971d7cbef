"""The fields of a chat request made vLLM's ``ChatCompletionRequest``; every complaint names the input."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

import pydantic
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams

from trident.engine.sampling import SAMPLING_NAMES, Refused

AMONG_SAMPLING = frozenset(
    {
        "add_generation_prompt",
        "add_special_tokens",
        "cache_salt",
        "chat_template",
        "continue_final_message",
        "documents",
        "include_reasoning",
        "max_completion_tokens",
        "media_io_kwargs",
        "mm_processor_kwargs",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "truncate_prompt_tokens",
        "truncation_side",
    }
)
"""Fields of a chat that have no input of their own: clients send them where they send sampling parameters."""

INPUTS = ("messages", "tools", "tool_choice", "chat_template_kwargs")

LONGEST_VALUE_CHARACTERS = 80


def chat_request(fields: dict[str, Any], params: SamplingParams, max_tokens: int | None) -> ChatCompletionRequest:
    """``fields`` by vLLM's names, with those sampling parameters that rendering and parsers look at.

    Raises Refused.
    """
    _check_messages(fields["messages"])
    if "tools" in fields:
        _check_tools(fields["tools"])
    with_sampling = {
        **fields,
        "max_tokens": max_tokens,
        "n": params.n,
        "structured_outputs": params.structured_outputs,
        "skip_special_tokens": params.skip_special_tokens,
        "spaces_between_special_tokens": params.spaces_between_special_tokens,
    }
    try:
        return ChatCompletionRequest.model_validate(with_sampling)
    except pydantic.ValidationError as error:
        raise refused(error) from error
    except VLLMValidationError as error:
        raise refused(error) from error


def refused(error: pydantic.ValidationError | VLLMValidationError) -> Refused:
    """vLLM's complaint in a client's words: the input, what is wrong in it, and what came."""
    if isinstance(error, VLLMValidationError):
        name = (error.parameter or "messages").partition(".")[0]
        return Refused("invalid", f"{_called(name)}: {error.args[0]}")
    # A message may have one of several forms, and each complains; the one that got furthest meant this form.
    furthest = max(error.errors(include_url=False, include_context=False), key=lambda item: len(item["loc"]))
    place = [part for part in furthest["loc"] if isinstance(part, int) or _is_field(part)]
    if place and isinstance(place[0], str):
        name, where = place[0], _path(place[1:])
    else:  # vLLM reads parts and tool calls late, and no longer knows of which message they are
        name, where = "messages", f"part or tool call {_path(place)}"
    where = f" {where}:" if where else ""
    return Refused("invalid", f"{_called(name)}:{where} {furthest['msg']}, got {_shown(furthest['input'])}")


def _check_messages(messages: Any) -> None:
    """What vLLM would refuse for each of eight forms of a message, or not at all."""
    if not isinstance(messages, list) or not messages:
        raise Refused("invalid", f"input 'messages' must be a list of at least one message, got {_shown(messages)}")
    for index, message in enumerate(messages):
        where = f"input 'messages': [{index}]"
        if not isinstance(message, dict):
            raise Refused("invalid", f"{where} must be an object with a role and a content, got {_shown(message)}")
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or not role:
            expected = "a role such as 'system', 'user', 'assistant' or 'tool'"
            raise Refused("invalid", f"{where} must have {expected}, got {_shown(role)}")
        if content is not None and not isinstance(content, str) and not _all_objects(content):
            raise Refused("invalid", f"{where}.content must be text or a list of parts, got {_shown(content)}")
        if message.get("tool_calls") is not None and not _all_objects(message["tool_calls"]):
            raise Refused(
                "invalid", f"{where}.tool_calls must be a list of objects, got {_shown(message['tool_calls'])}"
            )


def _check_tools(tools: Any) -> None:
    if not _all_objects(tools) or not tools:
        raise Refused("invalid", f"input 'tools' must be a list of at least one tool, got {_shown(tools)}")
    for index, tool in enumerate(tools):
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            expected = '{"type": "function", "function": {"name": TEXT, ...}}'
            raise Refused("invalid", f"input 'tools': [{index}] must be {expected}, got {_shown(tool)}")


def _all_objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_field(part: str) -> bool:
    """Not the name of one of several forms, which pydantic puts into its paths."""
    return part.isidentifier() and not part[0].isupper()


def _path(parts: list[Any]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _called(name: str) -> str:
    if name in AMONG_SAMPLING or name in SAMPLING_NAMES:
        return f"sampling parameter {name!r}"
    return f"input {name!r}" if name in INPUTS else "input 'messages'"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=lambda item: type(item).__name__)
    return text if len(text) <= LONGEST_VALUE_CHARACTERS else text[: LONGEST_VALUE_CHARACTERS - 1] + "…"
