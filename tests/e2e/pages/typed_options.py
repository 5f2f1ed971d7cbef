"""Whether ``trident`` takes a command line, asked of its own parser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from trident.cli.main import UsageError, build_app


def vllm_arguments(words: Sequence[str]) -> list[Any]:
    """Parses ``trident WORDS``, without running it. Returns what is left to vLLM; raises ValueError."""
    command: Any = typer.main.get_command(build_app(words))
    context: Any = None
    rest, name = list(words), "trident"
    try:
        while True:
            context = command.make_context(name, rest, parent=context)
            if not hasattr(command, "resolve_command"):
                return list(context.obj or ())
            # What a group leaves over begins with the name of its command.
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
    except typer.Exit:
        return []  # --help, --version
    except UsageError as error:
        raise ValueError(str(error)) from error
