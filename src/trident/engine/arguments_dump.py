"""Writes down which arguments the installed vLLM takes: ``python -I arguments_dump.py OUT.json``.

Run once, with the engine environment's Python, at the end of its installation; that vLLM imports at all is checked by
the same run. Stands alone: the engine environment does not know Trident, and the modules beside this file must not be
importable (one is called ``openai``), hence ``-I``.

The file holds ``versions`` (vllm, torch, cuda or null) and two maps from argument name to ``type`` (as written in
vLLM), ``default`` (null where JSON cannot say it), ``choices`` (a list, or null) and ``help`` (its first line):
``engine`` for the engine's arguments, ``openai`` for those of the OpenAI server.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import json
import sys
import typing
from pathlib import Path
from typing import Any

MISSING = dataclasses.MISSING


def main(out: Path) -> None:
    # vLLM reads its own source for the help texts, but only when it believes that somebody asks for help.
    sys.argv = ["vllm", "--help"]
    import torch
    import vllm
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import FrontendArgs, make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = make_arg_parser(FlexibleArgumentParser())
    actions = {action.dest: action for action in parser._actions}
    dump = {
        "versions": {"vllm": vllm.__version__, "torch": torch.__version__, "cuda": torch.version.cuda},
        "engine": describe(AsyncEngineArgs, actions),
        "openai": describe(FrontendArgs, actions),
    }
    out.write_text(json.dumps(dump, indent=1))


def describe(arguments: Any, actions: dict[str, argparse.Action]) -> dict[str, dict[str, Any]]:
    """One entry for each public field of the dataclass ``arguments``."""
    hints = _hints(arguments)
    return {
        field.name: {
            "type": field.type if isinstance(field.type, str) else _type_name(field.type),
            "default": _default(field),
            "choices": _choices(actions.get(field.name), hints.get(field.name)),
            "help": _first_line(actions.get(field.name)),
        }
        for field in dataclasses.fields(arguments)
        if field.init and not field.name.startswith("_")
    }


def _hints(arguments: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(arguments)
    except NameError:  # a name that vLLM imports for type checkers only
        return {field.name: field.type for field in dataclasses.fields(arguments)}


def _type_name(hint: Any) -> str:
    text = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    return text.replace("typing.", "")


def _default(field: dataclasses.Field[Any]) -> Any:
    value = field.default
    if value is MISSING and field.default_factory is not MISSING:
        value = field.default_factory()
    return _plain(value)


def _plain(value: Any) -> Any:
    """``value`` as JSON has it, else None."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, (set, frozenset, tuple)):
        value = list(value)
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return None


def _choices(action: argparse.Action | None, hint: Any) -> list[Any] | None:
    if action is not None and action.choices is not None:
        return [_plain(choice) for choice in action.choices]
    return _literal_values(hint) or None


def _literal_values(hint: Any) -> list[Any]:
    """The values of ``Literal[…]``, optional or not; none where other types are allowed beside it."""
    parts = [hint] if typing.get_origin(hint) is typing.Literal else list(typing.get_args(hint))
    literals = [part for part in parts if typing.get_origin(part) is typing.Literal]
    if not literals or any(part not in literals and part is not type(None) for part in parts):
        return []
    return [value for literal in literals for value in typing.get_args(literal)]


def _first_line(action: argparse.Action | None) -> str:
    text = (action.help or "").strip() if action is not None else ""
    return text.split("\n\n")[0].replace("\n", " ").replace("%%", "%")[:300]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
