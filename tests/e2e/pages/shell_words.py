"""The single commands of a shell script, as words, as far as documentation needs it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

_SUBSTITUTED = re.compile(r"\$\(([^()]*)\)")
_ASSIGNMENT = re.compile(r"\w+=.*", re.DOTALL)


def commands(script: str) -> Iterator[list[str]]:
    """Each command with its words; what stands in ``$(…)`` is a command too. Raises ValueError for an open quote."""
    for inner in _SUBSTITUTED.findall(script):
        yield from commands(inner)
    lexer = shlex.shlex(without_comments(script).replace("\\\n", " "), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    is_target = False
    for word in lexer:
        if set(word) <= set("<>&") and set(word) & set("<>"):
            is_target = True
        elif set(word) <= set("();|&\n"):
            yield from _meant(words)
            words, is_target = [], False
        elif is_target:
            is_target = False
        else:
            words.append(word)
    yield from _meant(words)


def _meant(words: list[str]) -> Iterator[list[str]]:
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    if words:
        yield words


def without_comments(script: str) -> str:
    """A ``#`` begins one at the start of a word, outside quotes."""
    kept: list[str] = []
    quote = ""
    is_comment = False
    for before, letter in zip(" " + script, script, strict=False):
        is_comment = letter != "\n" and (is_comment or (letter == "#" and not quote and before in " \t\n"))
        if is_comment:
            continue
        kept.append(letter)
        if before != "\\" and letter in "'\"":
            quote = "" if letter == quote else quote or letter
    return "".join(kept)
