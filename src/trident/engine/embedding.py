"""What a client asks for in an ``embedding_request``, as vLLM's prompt and parameters."""

from __future__ import annotations

from typing import Any

import msgspec
from vllm.pooling_params import PoolingParams

from trident.engine.sampling import Refused

TASK = "embed"


class _PoolingParams(msgspec.Struct, forbid_unknown_fields=True):
    """Those of vLLM that are meant for clients. Triton's OpenAI front-end writes dimensions as a list of one number."""

    dimensions: int | tuple[int] | None = None
    use_activation: bool | None = None


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    input: str | list[int]
    pooling_params: _PoolingParams | None = None


def embedding(embed: dict[str, Any]) -> tuple[str | list[int], PoolingParams]:
    """Text or token ids, and the parameters, whose ranges vLLM checks. Raises Refused."""
    try:
        request = msgspec.convert(embed, _Request)
    except msgspec.ValidationError as error:
        raise Refused("invalid", f"embedding_request: {error}") from error
    given = request.pooling_params or _PoolingParams()
    dimensions = given.dimensions[0] if isinstance(given.dimensions, tuple) else given.dimensions
    return request.input, PoolingParams(task=TASK, dimensions=dimensions, use_activation=given.use_activation)
