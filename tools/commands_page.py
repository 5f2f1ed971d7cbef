"""Writes ``docs/commands.md`` from the commands and their options (``make man``):

python tools/commands_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import command_line  # noqa: E402
from man_page import EXIT_CODES  # noqa: E402

PAGE = ROOT / "docs" / "commands.md"
# Of a command with more of them than this the page of the configuration has the settings.
MOST_SETTINGS = 12

_TOP = """\
# Commands

<!-- Written by tools/commands_page.py from src/trident/cli; change that, not this page. -->

What `trident COMMAND --help` says, on one page; `man trident` is the same in a terminal.
"""


def text() -> str:
    """The whole page."""
    return "\n".join([_TOP, *_commands(), *_exit_codes()])


def _commands() -> Iterator[str]:
    for command in command_line.commands():
        yield f"## `{command.path}`\n\n    {command.usage}\n"
        yield from (f"{_safe(paragraph)}\n" for paragraph in command.paragraphs)
        is_long = len(command.settings) > MOST_SETTINGS
        shown = [entry for entry in command.entries if not (is_long and entry[0] in command.settings)]
        if shown:
            yield "| argument or option | meaning |\n| --- | --- |"
            yield from (f"| `{_cell(term)}` | {_cell(_safe(meaning))} |" for term, meaning in shown)
            yield ""
        if is_long:
            yield "And a flag for each setting: [configuration](configuration.md).\n"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n\n| code | meaning |\n| --- | --- |"
    yield from (f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    yield ""


def _safe(words: str) -> str:
    """Words of a help as Markdown: what looks like a tag or emphasis is neither."""
    return words.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
