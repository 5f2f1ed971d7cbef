"""A client's map of sampling parameters made vLLM's ``SamplingParams``: the first gate of the intake."""

from __future__ import annotations

import difflib
from traceback import walk_tb
from typing import Any

import msgspec
from vllm.exceptions import VLLMClientError, VLLMValidationError
from vllm.sampling_params import RepetitionDetectionParams, SamplingParams, StructuredOutputsParams

from trident.engine import complaint
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


_STRUCTURED = '; vLLM has structured_outputs for it now, for instance {"json": schema}'
_RENAMED = {
    "best_of": "; vLLM has given it up, n is what remains",
    "guided_json": _STRUCTURED,
    "guided_regex": _STRUCTURED,
    "guided_choice": _STRUCTURED,
    "guided_grammar": _STRUCTURED,
    "use_beam_search": "; vLLM's engine has no beam search any more",
}


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
            hint = _RENAMED.get(name) or (f"; did you mean {close[0]!r}?" if close else "")
            raise Refused("invalid", f"unknown sampling parameter {name!r}{hint}")
    for name, kind in _NESTED.items():
        inner = given.get(name)
        known = {field for field in kind.__dataclass_fields__ if not field.startswith("_")}
        for unknown in sorted(inner.keys() - known) if isinstance(inner, dict) else ():
            raise Refused("invalid", f"sampling parameter {name!r} has no {unknown!r}")
    _check_constraints(given.get("structured_outputs"))
    try:
        # Lax: Triton's request parameters often arrive as text ("0.5"), and its vLLM backend accepts that.
        params = msgspec.convert(given, SamplingParams, strict=False)
    except msgspec.ValidationError as error:
        # msgspec wraps what __post_init__ raises (vLLM's own words) and says where a type is wrong.
        if isinstance(error.__cause__, VLLMClientError):
            raise error.__cause__ from None
        raise Refused("invalid", complaint.wrong_type(str(error), given)) from error
    params.skip_clone = True  # made for this request alone
    return params


def in_words(error: Exception, submit: Submit) -> str:
    """What vLLM says of a client's value, with the parameter's name and what came in it."""
    text = str(error.args[0]) if isinstance(error, VLLMValidationError) and error.args else str(error)
    parameter: str | None = getattr(error, "parameter", None)
    if any(frame.f_code.co_name == "_validate_structured_outputs" for frame, _ in walk_tb(error.__traceback__)):
        parameter = "structured_outputs"  # vLLM speaks of a grammar only, whichever constraint was given
    if parameter is not None and parameter in SAMPLING_NAMES and parameter not in text:
        return f"{parameter}: {text}"
    if "prompt" in text and submit.prompt is not None:
        return f"text_input: {text}"
    return complaint.with_value(text or type(error).__name__, submit.sampling)


def _check_constraints(given: Any) -> None:
    if not isinstance(given, dict):
        return
    constraints = [name for name in _CONSTRAINTS if given.get(name) is not None]
    if len(constraints) != 1:
        got = " and ".join(constraints) or "none of them"
        raise Refused("invalid", f"structured_outputs takes one of {', '.join(_CONSTRAINTS)}; got {got}")
