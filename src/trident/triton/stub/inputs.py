"""What clients send, checked and made plain. Every complaint names the input, what came and what is expected."""

from __future__ import annotations

import json
from typing import Any

from trident.triton.stub import backend
from trident.triton.stub.backend import Request

DEEPEST = 100
"""Levels of lists and objects in JSON that clients send. Decoders recurse, the engine's own among them, and one that
runs out of stack takes its process along."""

_EXPECTED: dict[type, str] = {dict: "a JSON object", list: "a JSON list"}


class BadInput(Exception):
    """The request cannot be understood; the message is for the client."""


class ContractsError(BadInput):
    """As ``BadInput``, but in words that clients of Triton's vLLM backend compare letter by letter."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Error generating stream: {message}")


def has(request: Request, name: str) -> bool:
    """Whether the client sent this input."""
    return backend.array(request, name) is not None


def texts(request: Request, name: str) -> list[str]:
    """All strings of a required input. Raises BadInput."""
    array = backend.array(request, name)
    if array is None:
        raise BadInput(f"input {name!r} is missing")
    values = array.reshape(-1).tolist()
    if not values:
        raise BadInput(f"input {name!r} is empty; expected at least one string")
    return [_decoded(name, value) for value in values]


def text(request: Request, name: str) -> str | None:
    """One optional string."""
    value = _scalar(request, name, "one string")
    return None if value is None else _decoded(name, value)


def flag(request: Request, name: str) -> bool | None:
    """One optional truth value."""
    value = _scalar(request, name, "one truth value")
    return None if value is None else bool(value)


def number(request: Request, name: str) -> int | float | None:
    """One optional number, of the type that the model's configuration declares."""
    return _scalar(request, name, "one number")  # type: ignore[no-any-return]


def json_object(name: str, content: str) -> dict[str, Any]:
    """A JSON object sent as text, of values that can be sent on. Raises BadInput."""
    return json_value(name, content, dict)  # type: ignore[no-any-return]


def json_value(name: str, content: str, expected: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """A JSON object (``dict``) or list sent as text, of values that can be sent on. Raises BadInput."""
    wanted = _EXPECTED[expected]
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        raise BadInput(f"input {name!r} must be {wanted}, but it is not JSON: {error}") from error
    except RecursionError as error:
        raise BadInput(f"input {name!r} nests deeper than {DEEPEST} levels") from error
    except ValueError as error:  # Python reads no integer of more than 4300 digits
        raise BadInput(f"input {name!r} has an integer of thousands of digits; the largest is 2**64 - 1") from error
    if not isinstance(value, expected):
        raise BadInput(f"input {name!r} must be {wanted}, got {kind(value)}")
    for key, item in value.items() if isinstance(value, dict) else ((name, value),):
        _check_text(name, key)
        _check_sendable(key, item)
    return value


def deadline_s(request: Request) -> float | None:
    """The request's timeout, which KServe counts in microseconds. Triton's ``/generate`` hands it on as an ordinary
    parameter only. Raises BadInput."""
    timeout_us: int = request.timeout()
    if timeout_us <= 0:
        timeout_us = json.loads(request.parameters() or "{}").get("timeout", 0)
        if not isinstance(timeout_us, int) or timeout_us < 0:
            raise BadInput(f"timeout must be a whole number of microseconds, got {kind(timeout_us)}")
    return timeout_us / 1e6 if timeout_us > 0 else None


def _check_sendable(parameter: str, value: Any) -> None:
    """Refuses what JSON can say and the way to the engine cannot carry: past this point it would end a process."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                for key in item:
                    _check_text(parameter, key)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                _check_text(parameter, item)
            elif isinstance(item, int) and not -(2**63) <= item < 2**64:
                raise BadInput(f"sampling parameter {parameter!r}: an integer is not in -2**63 to 2**64 - 1")
        if not below:
            return
        level = below
    raise BadInput(f"sampling parameter {parameter!r} nests deeper than {DEEPEST} levels")


def _check_text(parameter: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{parameter!r} has text that is not Unicode: half of a surrogate pair") from error


def _scalar(request: Request, name: str, expected: str) -> Any:
    array = backend.array(request, name)
    if array is None:
        return None
    if array.size != 1:
        raise BadInput(f"input {name!r} has {array.size} elements; expected {expected}")
    return array.reshape(-1).tolist()[0]


def _decoded(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8")  # type: ignore[no-any-return]
    except UnicodeDecodeError as error:
        raise BadInput(f"input {name!r} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def kind(value: Any) -> str:
    """What a JSON value is, in words for a client."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a truth value",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
