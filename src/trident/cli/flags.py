"""Flags made from the one declaration of the configuration: ``http_port`` → ``--http-port N``.

Values are taken as text and judged by the configuration itself, so that flags, variables and file refuse a bad value
in the same words.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

import typer
from pydantic.fields import FieldInfo

from trident.config.load import settings

POSITIONAL = ("model",)
Command = Callable[..., None]


def with_settings(command: Command) -> Command:
    """Gives a typer command one flag for each setting; it receives those that were given as the map ``flags``."""
    return _with([name for _, name, _ in settings() if name not in POSITIONAL], command)


def with_some_settings(*names: str) -> Callable[[Command], Command]:
    """The same for these settings alone."""
    return functools.partial(_with, names)


def _with(names: Collection[str], command: Command) -> Command:
    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        flags = {name: given.pop(name) for name in names}
        command(**given, flags={name: value for name, value in flags.items() if value not in (None, [])})

    own = inspect.signature(command, eval_str=True)
    parameters = [parameter for name, parameter in own.parameters.items() if name != "flags"]
    generated = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(path, name, field))
        for path, name, field in settings()
        if name in names
    ]
    signature = own.replace(parameters=[*parameters, *generated])
    wrapped.__signature__ = signature  # type: ignore[attr-defined]
    wrapped.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    return wrapped


def _annotation(path: tuple[str, ...], name: str, field: FieldInfo) -> Any:
    flag = "--" + name.replace("_", "-")
    more: dict[str, Any] = {
        "help": f"{field.description} (default {_shown(field.default)})"
        if field.default is not None
        else field.description,
        "rich_help_panel": path[0].capitalize() if path else "Server",
        "show_default": False,
    }
    if field.annotation is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", **more)]
    metavar = _metavar(field.annotation)
    if typing.get_origin(field.annotation) is tuple:
        return Annotated[list[str] | None, typer.Option(flag, metavar=metavar, **more)]
    return Annotated[str | None, typer.Option(flag, metavar=metavar, **more)]


def _metavar(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "|".join(arguments)
    if origin in (types.UnionType, typing.Union):
        return _metavar(next(part for part in arguments if part is not type(None)))
    if origin is Annotated or origin is tuple:
        return _metavar(arguments[0])
    return {int: "N", float: "NUMBER"}.get(kind, "TEXT")


def _shown(default: Any) -> str:
    return (
        " ".join(map(str, default))
        if isinstance(default, tuple)
        else str(default).lower()
        if isinstance(default, bool)
        else str(default)
    )
