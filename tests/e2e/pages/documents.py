"""The blocks of the documentation and what is said of them.

The line before a block of commands is an HTML comment, which no reader of the page sees:

    <!-- run -->                       its commands are run
    <!-- run: while a server runs -->  the same, and `trident serve --detach` was said before
    <!-- run: starts a server -->      no server runs when it begins; without --detach its last command stays until
                                       another one is started or the page ends
    <!-- run: until URL answers -->    while a server runs; its last command stays until then, and gets Ctrl-C
    <!-- run when there is time: … --> with PAGES_IN_FULL=1 only; else as `run`
    <!-- not run: REASON -->           nobody runs it; its options are looked at all the same
    <!-- file: NAME -->                the block is the content of this file in the page's folder
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SHELLS = ("sh", "bash", "console")
WHILE_SERVED, STARTS, UNTIL = "while a server runs", "starts a server", "until "
_MARK = re.compile(r"<!-- (run|run when there is time|not run|file)(?:: (.+))? -->")
_SLOW = "run when there is time"
_COMMAND = re.compile(r"(\$ )?(\S*/)?(trident|make|curl|pip|python\d?|vllm|tritonserver|git|systemctl|apt-get)\s")
_URL_ANSWERS = re.compile(r"until (http\S+) answers")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is that of its fence. ``kind`` and ``detail`` are the mark's: "not run", its reason.
    ``is_slow`` is for "run when there is time"; its kind is "run"."""

    path: Path
    line: int
    language: str
    text: str
    kind: str | None
    detail: str
    is_slow: bool

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def is_commands(self) -> bool:
        """Also of a block that names no language: nobody gets round a mark by leaving it out."""
        named = self.language in SHELLS
        return named or (not self.language and any(_COMMAND.match(line) for line in self.text.splitlines()))

    @property
    def commands(self) -> str:
        """What a shell is to be given: of a transcript what was typed."""
        if self.language != "console":
            return self.text
        typed: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                typed.append(line[2:])
            elif typed and typed[-1].endswith("\\"):
                typed.append(line)
        return "\n".join(typed) + "\n"

    @property
    def starts_server(self) -> bool:
        return self.kind == "run" and self.detail == STARTS

    @property
    def awaited_url(self) -> str | None:
        found = _URL_ANSWERS.fullmatch(self.detail)
        return found[1] if self.kind == "run" and found else None

    @property
    def is_understood(self) -> bool:
        """The mark is one of those above."""
        if self.kind == "run":
            return self.detail in ("", WHILE_SERVED, STARTS) or self.awaited_url is not None
        return self.kind in ("not run", "file") and bool(self.detail)


def pages() -> list[Path]:
    """Whatever holds commands for a reader, in English."""
    named = ["README.md", "CONTRIBUTING.md", "examples/README.md", "benchmarks/README.md"]
    return [*(ROOT / name for name in named), *sorted((ROOT / "docs").glob("*.md"))]


def translations() -> dict[Path, Path]:
    """The Chinese pages and the English page of each."""
    chinese = sorted((ROOT / "docs" / "zh").glob("*.md"))
    return {ROOT / "README.zh-CN.md": ROOT / "README.md", **{page: ROOT / "docs" / page.name for page in chinese}}


def blocks(path: Path) -> Iterator[Block]:
    """In the order of the page."""
    lines = path.read_text(encoding="utf-8").splitlines()
    index = 0
    while index < len(lines):
        fence = re.fullmatch(r"( *)```(\S*)", lines[index])
        if fence is None:
            index += 1
            continue
        end = next(number for number in range(index + 1, len(lines)) if lines[number].strip() == "```")
        mark = _MARK.fullmatch(lines[index - 1].strip()) if index else None
        inside = [line.removeprefix(fence[1]) for line in lines[index + 1 : end]]
        kind, detail = (mark[1], mark[2] or "") if mark else (None, "")
        is_slow = kind == _SLOW
        text = "\n".join(inside) + "\n"
        yield Block(path, index + 1, fence[2], text, "run" if is_slow else kind, detail, is_slow)
        index = end + 1


def headings(path: Path) -> list[int]:
    """The level of each heading."""
    levels, is_inside = [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            is_inside = not is_inside
        elif not is_inside and (found := re.match(r"(#+) ", line)):
            levels.append(len(found[1]))
    return levels
