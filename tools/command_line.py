"""The commands of ``trident`` with their options, as its help has them; for the pages that are made of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

import typer  # noqa: E402

from trident.cli.main import COMMANDS, build_app  # noqa: E402
from trident.config.load import settings  # noqa: E402


@dataclass(frozen=True)
class Command:
    """``entries`` are its arguments and options with what they mean; ``settings`` are the options among them that
    follow from the configuration."""

    path: str
    usage: str
    paragraphs: tuple[str, ...]
    entries: tuple[tuple[str, str], ...]
    settings: frozenset[str]


def commands() -> Iterator[Command]:
    """In the order of the help; a group comes before its commands."""
    for name in COMMANDS:
        app: Any = typer.main.get_command(build_app([name]))
        yield from _described(app.commands[name], f"trident {name}")


def _described(command: Any, path: str) -> Iterator[Command]:
    context = command.context_class(command, info_name=path)
    entries, ours = [], set()
    known = {name for _, name, _ in settings()}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or parameter.name == "help":
            continue
        term, meaning = (" ".join(words.split()) for words in record)
        entries.append((term, meaning))
        if parameter.name in known and term.startswith("-"):
            ours.add(term)
    paragraphs = tuple(" ".join(words.split()) for words in (command.help, command.epilog) if words)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield Command(path, usage, paragraphs, tuple(entries), frozenset(ours))
    for name, inner in getattr(command, "commands", {}).items():
        yield from _described(inner, f"{path} {name}")
