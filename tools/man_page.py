"""Writes ``man/trident.1`` from the commands and their options (``make man``):

python tools/man_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))
sys.path.insert(0, str(ROOT / "tools"))

import command_line  # noqa: E402
from configuration_page import OUTSIDE  # noqa: E402

import trident  # noqa: E402

PAGE = ROOT / "man" / "trident.1"

EXIT_CODES = {
    "0": "Done.",
    "1": "A defect of Trident; status: the server is not ready; doctor: something fails.",
    "2": "The command line is wrong.",
    "3": "It cannot start like this: configuration, environment, model or a port.",
    "4": "No such server is running.",
    "5": "A server failed; bench: it died.",
    "6": "A request failed; bench: too many did.",
    "7": "bench: the client was the bottleneck.",
    "8": "bench compare: a regression was found.",
    "130": "Interrupted.",
}
FILES = {
    "trident.toml": "The configuration, in the current folder, unless --config or TRIDENT_CONFIG names another.",
    "~/.local/share/trident": "Engine environments.",
    "~/.local/state/trident/run/NAME": "A server's run directory: configuration, logs, state.",
}


def text() -> str:
    """The whole page, in roff."""
    return "\n".join([*_head(), *_commands(), *_tail()]) + "\n"


def _head() -> Iterator[str]:
    yield '.\\" Written by tools/man_page.py from src/trident/cli; change that, not this page.'
    yield f'.TH TRIDENT 1 "" "trident {trident.__version__}" "User Commands"'
    yield ".nh\n.ad l"  # options and paths stay whole
    yield ".SH NAME"
    yield "trident \\- the vLLM engine behind the Triton Inference Server, from one command"
    yield ".SH SYNOPSIS"
    yield ".B trident\n.I COMMAND\n[OPTIONS]"
    yield ".SH DESCRIPTION"
    yield _escaped(
        "Serves a large language model with vLLM behind NVIDIA's Triton (KServe over HTTP and gRPC, metrics) and "
        "vLLM's OpenAI server on the same engine; loads, tunes, watches and examines it."
    )
    yield ".P"
    yield _escaped("--debug shows tracebacks and may stand anywhere. --version shows the version.")


def _commands() -> Iterator[str]:
    yield ".SH COMMANDS"
    for command in command_line.commands():
        yield f'.SS "{_escaped(command.usage)}"'
        for paragraph in command.paragraphs:
            yield from (".P", _escaped(paragraph))
        for term, meaning in command.entries:
            yield from _entry(term, meaning)


def _tail() -> Iterator[str]:
    for title, entries in (("EXIT STATUS", EXIT_CODES), ("FILES", FILES), ("ENVIRONMENT", OUTSIDE)):
        yield f".SH {title}"
        for term, meaning in entries.items():
            yield from _entry(term, meaning.replace("`", ""))
    yield ".P"
    yield _escaped("Every setting of serve has a variable TRIDENT_NAME, too: docs/configuration.md.")


def _entry(term: str, meaning: str) -> Iterator[str]:
    yield from (".TP", f".B {_escaped(term)}", _escaped(" ".join(meaning.split())))


def _escaped(words: str) -> str:
    safe = words.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text(), encoding="utf-8")
