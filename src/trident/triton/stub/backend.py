"""``triton_python_backend_utils``, typed where we use it. It exists only inside Triton's stub processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

FINAL = 1
"""TRITONSERVER_RESPONSE_COMPLETE_FINAL of Triton's C API. While a configuration is auto-completed the module has none
of its classes and constants, so nothing of it may be touched on import."""

LONGEST_MESSAGE_BYTES = 1500
"""gRPC carries a message in a header of at most 8 KiB, in which bytes beyond ASCII take three times their size; a
client that gets a larger one sees only that."""

Request = Any
Sender = Any

_CODES = {
    "invalid": "INVALID_ARG",
    "unsupported": "UNSUPPORTED",
    "not_found": "NOT_FOUND",
    "unavailable": "UNAVAILABLE",
    "expelled": "UNAVAILABLE",
    "overloaded": "UNAVAILABLE",  # Triton has no RESOURCE_EXHAUSTED
    "deadline": "CANCELLED",
    "cancelled": "CANCELLED",
    "internal": "INTERNAL",
}


class ModelError(Exception):
    """The model cannot be loaded; Triton shows the message."""


def response(outputs: Mapping[str, Any]) -> Any:
    """A response; an output is a numpy array, or a list of texts, which becomes one of shape [len(list)]."""
    return pb.InferenceResponse([pb.Tensor(name, _array(value)) for name, value in outputs.items()])


def _array(value: Any) -> Any:
    return np.array([text.encode() for text in value], dtype=object) if isinstance(value, list) else np.asarray(value)


def error(code: str, message: str) -> Any:
    """An error response; ``code`` is one of the protocol's ``REJECTION_CODES``, or "cancelled" by the client."""
    return pb.InferenceResponse(error=pb.TritonError(_shortened(message), getattr(pb.TritonError, _CODES[code])))


def _shortened(message: str) -> str:
    text = message.encode("utf-8", "backslashreplace")
    if len(text) > LONGEST_MESSAGE_BYTES:
        text = text[:LONGEST_MESSAGE_BYTES] + " …".encode()
    return text.decode("utf-8", "ignore")


def array(request: Request, name: str) -> Any | None:
    """An input as a numpy array, None when the client did not send it."""
    tensor = pb.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy()
