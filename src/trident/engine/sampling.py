"""A client's map of sampling parameters made vLLM's ``SamplingParams``: the first gate of the intake."""

from __future__ import annotations

import difflib
from typing import Any

import msgspec
from vllm.exceptions import VLLMClientError
from vllm.sampling_params import RepetitionDetectionParams, SamplingParams, StructuredOutputsParams

from trident.protocol.messages import Submit

_INTERNAL = {
    "output_kind",
    "skip_clone",
    "output_text_buffer_length",
    "flat_logprobs",
    "stream_interval",
    "prompt_logprob_token_ids",  # an array of numpy, which no client's message can be
}
SAMPLING_NAMES = sorted(
    name for name in SamplingParams.__struct_fields__ if not name.startswith("_") and name not in _INTERNAL
)
_NESTED: dict[str, Any] = {
    "structured_outputs": StructuredOutputsParams,
    "repetition_detection": RepetitionDetectionParams,
}
"""msgspec overlooks a name that these do not have, and the client would believe it obeyed."""


class Refused(Exception):
    """The request cannot be run; carries one of ``REJECTION_CODES``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def sampling_params(submit: Submit) -> SamplingParams:
    """vLLM's parameters from a client's map. Raises Refused for an unknown name or a wrong type, and vLLM's own
    VLLMClientError for a value out of range."""
    given = dict(submit.sampling)
    for name in given:
        if name not in SAMPLING_NAMES:
            close = difflib.get_close_matches(name, SAMPLING_NAMES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise Refused("invalid", f"unknown sampling parameter {name!r}{hint}")
    for name, kind in _NESTED.items():
        inner = given.get(name)
        for unknown in sorted(inner.keys() - kind.__dataclass_fields__.keys()) if isinstance(inner, dict) else ():
            raise Refused("invalid", f"sampling parameter {name!r} has no {unknown!r}")
    if submit.resume_from:
        for name in ("max_tokens", "min_tokens"):
            if isinstance(given.get(name), int):
                given[name] = max(0, given[name] - len(submit.resume_from))
    try:
        # Lax: Triton's request parameters often arrive as text ("0.5"), and its vLLM backend accepts that.
        params = msgspec.convert(given, SamplingParams, strict=False)
    except msgspec.ValidationError as error:
        # msgspec wraps what __post_init__ raises (vLLM's own words) and says where a type is wrong.
        if isinstance(error.__cause__, VLLMClientError):
            raise error.__cause__ from None
        name = str(error).rpartition("`$.")[2].rstrip("`") if "`$." in str(error) else ""
        text = str(error).partition(" - at ")[0]
        raise Refused("invalid", f"sampling parameter {name!r}: {text}" if name else text) from error
    params.skip_clone = True  # made for this request alone
    return params
