"""``trident completion``: what bash, zsh or fish needs to complete ``trident``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from enum import Enum
from typing import Annotated

import typer

from trident.cli import show

VARIABLE = "_TRIDENT_COMPLETE"


class Shell(str, Enum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.")],
) -> None:
    """Print a script to be read by the shell, for instance in ~/.bashrc: eval "$(trident completion bash)"."""
    from typer._completion_shared import get_completion_script

    show.line(get_completion_script(prog_name="trident", complete_var=VARIABLE, shell=shell.value))


def typed_words(environ: Mapping[str, str] = os.environ) -> list[str] | None:
    """The words that a shell wants completed, without the program's name; None when this is no such call."""
    if VARIABLE not in environ:
        return None
    line = environ.get("COMP_WORDS", environ.get("_TYPER_COMPLETE_ARGS", ""))
    try:
        return shlex.split(line.replace("\n", " "))[1:]
    except ValueError:  # an open quote
        return line.split()[1:]
