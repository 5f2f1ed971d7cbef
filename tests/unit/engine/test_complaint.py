from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trident.engine.complaint import LONGEST_VALUE, shown, with_value, wrong_type


class Parameters(msgspec.Struct):
    top_k: int = 0
    seed: int | None = None
    stop: list[str] | str | None = None
    bias: dict[int, float] | None = None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"top_k": 1.5}, "sampling parameter 'top_k' must be a whole number, got 1.5"),
        ({"seed": "x"}, "sampling parameter 'seed' must be a whole number, got \"x\""),
        ({"stop": [1]}, "sampling parameter 'stop[0]' must be text, got [1]"),
        ({"bias": 5}, "sampling parameter 'bias' must be an object, got 5"),
    ],
)
def test_value_of_another_type_is_told_in_plain_words(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.convert(given, Parameters, strict=False)
    assert wrong_type(str(raised.value), given) == expected


def test_words_that_are_not_of_a_type_stay() -> None:
    assert wrong_type("Integer value out of range", {"seed": 2**70}) == "Integer value out of range"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("ids has a wrong one!", "ids has a wrong one, got ids = [7]"),
        ("ids must be small, got [7]", "ids must be small, got [7]"),
        ("something else is wrong", "something else is wrong"),
        ("ids and n do not fit", "ids and n do not fit"),
    ],
)
def test_value_is_added_where_it_is_missing(message: str, expected: str) -> None:
    assert with_value(message, {"ids": [7], "n": 2}) == expected


def test_long_value_is_shortened() -> None:
    assert len(shown("x" * 1000)) == LONGEST_VALUE
