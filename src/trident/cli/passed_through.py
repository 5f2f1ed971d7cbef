"""Options of ``trident serve`` that are not Trident's: they are vLLM's and are taken as they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from typer.core import TyperCommand

from trident.config.engine_arguments import Given

# vLLM's own short options.
SHORT = {
    "-tp": "tensor_parallel_size",
    "-pp": "pipeline_parallel_size",
    "-dp": "data_parallel_size",
    "-q": "quantization",
}
_NUMBER = re.compile(r"-\.?\d.*")


def split(words: Sequence[str], ours: Mapping[str, bool]) -> tuple[list[str], list[Given]]:
    """The words that are Trident's, and vLLM's arguments. ``ours`` says of each option whether it takes a value.

    The word after an unknown option is its value unless it looks like another option. Whether the argument takes a
    value at all is known only to vLLM's list: ``EngineArguments.sort`` gives such a word back.
    """
    kept: list[str] = []
    given: list[Given] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, text = word.partition("=")
        if word == "--":
            return [*kept, word, *rest], given
        if option in ours or not (option.startswith("--") or option in SHORT):
            kept.append(word)
            if ours.get(option) and not equals and rest:
                kept.append(rest.pop(0))
            continue
        name = SHORT.get(option) or option.removeprefix("--").replace("-", "_")
        value = text if equals else None
        if value is None and rest and not name.startswith("no_") and not _looks_like_option(rest[0]):
            value = rest.pop(0)
        given.append(Given(name, value))
    return kept, given


def _looks_like_option(word: str) -> bool:
    return word.startswith("-") and not _NUMBER.fullmatch(word)


class PassThroughCommand(TyperCommand):
    """Keeps unknown long options from typer; the command finds them in ``ctx.obj``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ours = {"--help": False}
        for parameter in self.params:
            is_flag = bool(getattr(parameter, "is_flag", False))
            for option in (*parameter.opts, *parameter.secondary_opts):
                ours[option] = not is_flag
        kept, ctx.obj = split(args, ours)
        return super().parse_args(ctx, kept)
