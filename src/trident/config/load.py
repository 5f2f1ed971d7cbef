"""Puts the configuration together: defaults, then ``trident.toml``, then ``TRIDENT_*`` variables, then flags."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from trident.config.models import Config
from trident.config.section import Section
from trident.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "trident.toml"
PREFIX = "TRIDENT_"
PASS_THROUGH = ("engine", "openai")
TABLES = {
    name
    for name, field in Config.model_fields.items()
    if name in PASS_THROUGH or (isinstance(field.annotation, type) and issubclass(field.annotation, Section))
}
LISTS = {
    name
    for section in (Config, *(field.annotation for field in Config.model_fields.values()))
    if isinstance(section, type) and issubclass(section, Section)
    for name, field in section.model_fields.items()
    if get_origin(field.annotation) is tuple
}
NOT_SETTINGS = {
    # Variables of Trident that move or tell things and are no part of the configuration.
    "TRIDENT_DATA_DIR",
    "TRIDENT_STATE_DIR",
    "TRIDENT_STATUS_FD",
    "TRIDENT_KEEPER",
    "TRIDENT_NURSERY",
    "TRIDENT_PYTHON",
    "TRIDENT_CONFIG",
}


class Written(str):
    """The text of a variable for vLLM: what it means depends on the argument, as ``12`` may be a number or a key."""

    __slots__ = ()


def settings() -> Iterator[tuple[tuple[str, ...], str, FieldInfo]]:
    """Every settable value: its section path, its name, its declaration. The pass-through tables are left out."""
    for name, field in Config.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from (((name,), inner, declared) for inner, declared in kind.model_fields.items())
        elif name not in PASS_THROUGH:
            yield (), name, field


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """The resolved configuration.

    ``flags`` maps setting names to values (``None`` = not given) and may hold ``engine`` and ``openai`` tables.
    ``file`` must exist when given; otherwise ``TRIDENT_CONFIG`` or ``./trident.toml`` is read if it is there.
    Raises ConfigurationError.
    """
    environ = os.environ if environ is None else environ
    values = _read_file(file, environ)
    places = {name: path for path, name, _ in settings()}
    _merge(values, _from_environment(environ, places))
    _merge(values, _from_flags(flags or {}, places))
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _explain(error) from error


def changed(config: Config, table: str, flags: Mapping[str, Any]) -> Config:
    """The same with other settings in one table. Raises ConfigurationError."""
    values = config.model_dump()
    values[table].update({name: value for name, value in flags.items() if value is not None})
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise _explain(error) from error


def _read_file(file: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    named = file or (Path(environ["TRIDENT_CONFIG"]) if environ.get("TRIDENT_CONFIG") else None)
    path = named or Path(FILE_NAME)
    if not path.exists():
        if named is None:
            return {}
        raise ConfigurationError(
            f"Cannot read the configuration {path}", "there is no such file", "give the right path with --config"
        )
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Cannot read the configuration {path}", str(error), "correct that line") from error
    except OSError as error:
        raise ConfigurationError(
            f"Cannot read the configuration {path}", error.strerror or str(error), "make it readable, or name another"
        ) from error
    for name, value in values.items():
        # Checked here, as a flag of that table would silently take its place.
        if name in TABLES and not isinstance(value, dict):
            raise ConfigurationError(
                f"Bad setting {name}", f"it is a table (got {value!r})", f"write [{name}] and its settings below it"
            )
    return values


def _from_environment(environ: Mapping[str, str], places: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        name = variable.removeprefix(PREFIX).lower()
        table, _, key = name.partition("__")
        if table in PASS_THROUGH and key:
            values.setdefault(table, {})[key] = Written(environ[variable])
        elif name in places:
            _place(values, places[name], name, _listed(name, environ[variable]))
        else:
            known = [PREFIX + known.upper() for known in places]
            raise ConfigurationError(
                f"Unknown variable {variable}",
                "no setting has that name" + _suggest(variable, known),
                f"unset it (unset {variable}) or see trident serve --help",
            )
    return values


def _from_flags(flags: Mapping[str, Any], places: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None:
            continue
        if name in PASS_THROUGH:
            values.setdefault(name, {}).update(value)
        else:
            _place(values, places[name], name, value)
    return values


def _listed(name: str, text: str) -> Any:
    return literal(text) if name in LISTS else text


def literal(text: str) -> Any:
    """A value written on a command line: JSON where it is JSON (numbers, true, lists, maps), else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _place(values: dict[str, Any], path: tuple[str, ...], name: str, value: Any) -> None:
    for part in path:
        values = values.setdefault(part, {})
    values[name] = value


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value


def _explain(error: ValidationError) -> ConfigurationError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = [".".join((*path, name)) for path, name, _ in settings()]
        why = "no setting has that name" + _suggest(where, known)
        return ConfigurationError(f"Unknown setting {where}", why, "remove it or see trident serve --help")
    given = f" (got {first['input']!r})" if not isinstance(first["input"], dict) else ""
    why = first["msg"].removeprefix("Value error, ") + given
    return ConfigurationError(f"Bad setting {where or 'combination'}", why, "change it, or leave it out")


def _suggest(wrong: str, known: list[str]) -> str:
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
