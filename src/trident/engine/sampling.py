"""A client's map of sampling parameters made vLLM's ``SamplingParams``: the first gate of the intake."""

from __future__ import annotations

import difflib
from traceback import walk_tb
from typing import Any

import msgspec
from vllm.exceptions import VLLMClientError, VLLMValidationError
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

_CONSTRAINTS = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
"""Of ``structured_outputs`` exactly one is given."""


class Refused(Exception):
    """The request cannot be run; carries one of ``REJECTION_CODES``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def sampling_params(submit: Submit) -> SamplingParams:
    """vLLM's parameters from a client's map. Raises Refused for an unknown name or a wrong type, and vLLM's own
    VLLMClientError for a value out of range."""
    # Clients write null for what they leave out; max_tokens alone has a null of its own: as many as there is room for.
    given = {name: value for name, value in submit.sampling.items() if value is not None or name == "max_tokens"}
    for name in submit.sampling:
        if name not in SAMPLING_NAMES:
            close = difflib.get_close_matches(name, SAMPLING_NAMES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise Refused("invalid", f"unknown sampling parameter {name!r}{hint}")
    for name, kind in _NESTED.items():
        inner = given.get(name)
        known = {field for field in kind.__dataclass_fields__ if not field.startswith("_")}
        for unknown in sorted(inner.keys() - known) if isinstance(inner, dict) else ():
            raise Refused("invalid", f"sampling parameter {name!r} has no {unknown!r}")
    _check_constraints(given.get("structured_outputs"))
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


def in_words(error: Exception) -> str:
    """What vLLM says of a client's value, with the name of the parameter in it."""
    text = str(error.args[0]) if isinstance(error, VLLMValidationError) and error.args else str(error)
    parameter: str | None = getattr(error, "parameter", None)
    if any(frame.f_code.co_name == "_validate_structured_outputs" for frame, _ in walk_tb(error.__traceback__)):
        parameter = "structured_outputs"  # vLLM speaks of a grammar only, whichever constraint was given
    if parameter is not None and parameter in SAMPLING_NAMES and parameter not in text:
        return f"{parameter}: {text}"
    return text or type(error).__name__


def _check_constraints(given: Any) -> None:
    if not isinstance(given, dict):
        return
    constraints = [name for name in _CONSTRAINTS if given.get(name) is not None]
    if len(constraints) != 1:
        got = " and ".join(constraints) or "none of them"
        raise Refused("invalid", f"structured_outputs takes one of {', '.join(_CONSTRAINTS)}; got {got}")
