from __future__ import annotations

import pytest
from shell_words import commands, without_comments


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a b   # c\nd", [["a", "b"], ["d"]]),
        ("a \\\n  b", [["a", "b"]]),
        ("a '#no' \"x y\"#no", [["a", "#no", "x y#no"]]),
        ("a | b && c; d", [["a"], ["b"], ["c"], ["d"]]),
        ("(umask 077; head -c 1 /dev/x > keys)", [["umask", "077"], ["head", "-c", "1", "/dev/x"]]),
        ("X=1 Y='a b' c", [["c"]]),
        ('a "$(b --c)"', [["b", "--c"], ["a", "$(b --c)"]]),
        ("curl http://h:1/x -d '{\"a\": [1,\n 2]}'", [["curl", "http://h:1/x", "-d", '{"a": [1,\n 2]}']]),
        ("a 2>&1 x", [["a", "2", "x"]]),
    ],
)
def test_script_is_taken_apart(script: str, expected: list[list[str]]) -> None:
    assert list(commands(script)) == expected


def test_hash_within_a_word_is_no_comment() -> None:
    assert without_comments("a#b 'c # d' # e\nf") == "a#b 'c # d' \nf"
