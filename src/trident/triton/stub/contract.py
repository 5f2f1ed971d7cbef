"""The tensors of both contracts, declared once.

``GENERATE`` is that of Triton's own vLLM backend (triton-inference-server/vllm_backend, src/model.py) with Trident's
``messages`` and what goes with it, ``reasoning`` and ``tool_calls``. ``RECIPE`` is the recipe's.
"""

from __future__ import annotations

from typing import NamedTuple


class TensorSpec(NamedTuple):
    """One line of a model's configuration. A dimension of -1 is any length; only inputs are optional."""

    name: str
    data_type: str
    dims: int
    is_optional: bool = False


class Contract(NamedTuple):
    """What a model takes and gives; ``module`` of this package answers."""

    module: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


TEXT_INPUT = "text_input"
MESSAGES = "messages"
EMBEDDING_REQUEST = "embedding_request"

GENERATE = Contract(
    "generate",
    # All optional: a request has one of text_input, messages and embedding_request, which no configuration can say.
    inputs=(
        TensorSpec(TEXT_INPUT, "TYPE_STRING", 1, is_optional=True),
        TensorSpec("image", "TYPE_STRING", -1, is_optional=True),
        TensorSpec("stream", "TYPE_BOOL", 1, is_optional=True),
        TensorSpec("sampling_parameters", "TYPE_STRING", 1, is_optional=True),
        TensorSpec("exclude_input_in_output", "TYPE_BOOL", 1, is_optional=True),
        TensorSpec("return_finish_reason", "TYPE_BOOL", 1, is_optional=True),
        TensorSpec("return_cumulative_logprob", "TYPE_BOOL", 1, is_optional=True),
        TensorSpec("return_logprobs", "TYPE_BOOL", 1, is_optional=True),
        TensorSpec("return_num_input_tokens", "TYPE_BOOL", 1, is_optional=True),
        TensorSpec("return_num_output_tokens", "TYPE_BOOL", 1, is_optional=True),
        TensorSpec(EMBEDDING_REQUEST, "TYPE_STRING", 1, is_optional=True),
        TensorSpec(MESSAGES, "TYPE_STRING", 1, is_optional=True),
        TensorSpec("chat_template_kwargs", "TYPE_STRING", 1, is_optional=True),
        TensorSpec("tools", "TYPE_STRING", 1, is_optional=True),
        TensorSpec("tool_choice", "TYPE_STRING", 1, is_optional=True),
    ),
    # text_output is always sent, the others when return_<name> asks for them, the last two for messages.
    outputs=(
        TensorSpec("text_output", "TYPE_STRING", -1),
        TensorSpec("finish_reason", "TYPE_STRING", -1),
        TensorSpec("cumulative_logprob", "TYPE_FP32", -1),
        TensorSpec("logprobs", "TYPE_STRING", -1),
        TensorSpec("num_input_tokens", "TYPE_UINT32", 1),
        TensorSpec("num_output_tokens", "TYPE_UINT32", -1),
        TensorSpec("reasoning", "TYPE_STRING", -1),
        TensorSpec("tool_calls", "TYPE_STRING", -1),
    ),
)

RECIPE = Contract(
    "recipe",
    # Without a batch dimension, so that prompts of shape [1] and [n] both pass; the engine batches by itself.
    inputs=(
        TensorSpec("prompt", "TYPE_STRING", -1),
        TensorSpec("max_tokens", "TYPE_INT32", 1, is_optional=True),
        TensorSpec("temperature", "TYPE_FP32", 1, is_optional=True),
    ),
    outputs=(TensorSpec("generated_text", "TYPE_STRING", -1),),
)

RETURNS = ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens")
"""Outputs that are sent when ``return_<name>`` is true."""
