"""Which arguments the installed vLLM takes, and whether given ones can be meant, before anything starts.

The list comes from vLLM itself (``engine/arguments_dump.py``), so it is right for the version that is installed. Only
plain types are judged here; what lies in a map or an object is left to vLLM.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trident.config.load import Written, literal
from trident.config.old_arguments import GPU_ONLY, REMOVED
from trident.errors import ConfigurationError, EnvironmentBroken

Table = Literal["engine", "openai"]
Tables = dict[Table, dict[str, Any]]

OURS = {
    "model": "the model is given as trident serve MODEL",
    "model_tag": "the model is given as trident serve MODEL",
    "host": "Trident's address is set by --host",
    "port": "Trident's ports are set by --http-port, --grpc-port, --metrics-port and --openai-port",
    "grpc_port": "Trident's ports are set by --http-port, --grpc-port, --metrics-port and --openai-port",
    "uds": "the OpenAI server listens on --openai-port",
    "ssl_keyfile": "TLS is for all doors: --tls-cert FILE --tls-key FILE",
    "ssl_certfile": "TLS is for all doors: --tls-cert FILE --tls-key FILE",
    "headless": "Trident starts the engine without vLLM's server by itself",
    "api_server_count": "Trident runs one OpenAI server; KServe requests go through --stubs N processes",
}

_MULTIPLES = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_READABLE_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kmgtKMGT])")
_OPTIONAL = re.compile(r"Optional\[(.*)\]|(.*) \| None")


@dataclass(frozen=True)
class Argument:
    """One argument of vLLM. ``type`` is as vLLM writes it, without its ``None``."""

    name: str
    type: str
    is_optional: bool
    choices: tuple[Any, ...]

    @property
    def is_flag(self) -> bool:
        """Given alone it means true."""
        return self.type == "bool"

    def from_text(self, text: str) -> Any:
        """The value that a command line means. Raises ValueError, in words for a user."""
        if self.type == "str" and not self.choices:
            return text
        if self.choices and text in self.choices:
            return text
        if self.type == "list[str]" and not text.startswith("["):
            return self.checked(text)  # a key of digits is a text too
        return self.checked(literal(text.lower() if text in ("True", "False") else text))

    def checked(self, value: Any) -> Any:
        """The value, in vLLM's own form. Raises ValueError, in words for a user."""
        if value is None and self.is_optional:
            return None
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"it should be one of {', '.join(map(str, self.choices))}")
            return value
        if self.type == "int":
            return _whole_number(self.name, value)
        if self.type.startswith("list["):
            values = value if isinstance(value, list) else [value]
            if self.type == "list[str]" and not all(isinstance(one, str) and one for one in values):
                raise ValueError("it should be a text or a list of texts, none of them empty")
            return values
        self._check_kind(value)
        return value

    def _check_kind(self, value: Any) -> None:
        kinds: dict[str, tuple[tuple[type, ...], str]] = {
            "bool": ((bool,), "true or false"),
            "float": ((int, float), "a number"),
            "str": ((str,), "a text"),
        }
        accepted, words = kinds.get(self.type, ((object,), ""))
        if self.type.startswith("dict"):
            accepted, words = (dict,), "a map (in JSON on a command line)"
        if not isinstance(value, accepted) or (isinstance(value, bool) and self.type == "float"):
            raise ValueError(f"it should be {words}")


@dataclass(frozen=True)
class Given:
    """An argument from the command line: ``--name TEXT``, or ``--name`` alone. Names have underscores; a dotted one
    sets a key of a map."""

    name: str
    text: str | None

    @property
    def flag(self) -> str:
        """As the user wrote it."""
        return "--" + self.name.replace("_", "-")


class EngineArguments:
    """All arguments of the installed vLLM."""

    def __init__(self, tables: Mapping[Table, Mapping[str, Argument]], *, for_cpu: bool = False) -> None:
        self._tables = tables
        self._for_cpu = for_cpu

    @classmethod
    def read(cls, path: Path) -> EngineArguments:
        """Raises EnvironmentBroken when the file, which the installation wrote, is not as it should be."""
        try:
            dump = json.loads(path.read_text(encoding="utf-8"))
            tables: dict[Table, dict[str, Argument]] = {
                "engine": _arguments(dump["engine"]),
                "openai": _arguments(dump["openai"]),
            }
            return cls(tables, for_cpu=dump.get("versions", {}).get("cuda", "") is None)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EnvironmentBroken(
                "The engine environment is damaged", f"{path} cannot be read: {error}", "install again: trident setup"
            ) from error

    def check(self, tables: Tables) -> Tables:
        """The tables of a configuration in vLLM's own form. Raises ConfigurationError for the first wrong argument."""
        return {
            table: {name: self._checked(table, name, value) for name, value in values.items()}
            for table, values in tables.items()
        }

    def sort(self, given: Sequence[Given]) -> tuple[Tables, list[str]]:
        """Command line arguments put into their tables, and what turned out to belong to none: the word after a flag
        that takes no value. Raises ConfigurationError."""
        tables: Tables = {"engine": {}, "openai": {}}
        words: list[str] = []
        for one in given:
            name, _, key = one.name.partition(".")
            table, argument, is_negated = self._find(name, one)
            value = self._value(argument, is_negated, one, key, words)
            if key:
                _place(tables[table].setdefault(argument.name, {}), key.split("."), value)
            else:
                tables[table][argument.name] = value
        return tables, words

    def _find(self, name: str, given: Given) -> tuple[Table, Argument, bool]:
        for table, arguments in self._tables.items():
            if name in OURS:
                break
            if name in arguments:
                return table, arguments[name], False
            positive = name.removeprefix("no_")
            if positive != name and positive in arguments and arguments[positive].is_flag:
                return table, arguments[positive], True
        raise self._unknown(name, given.flag)

    def _value(self, argument: Argument, is_negated: bool, given: Given, key: str, words: list[str]) -> Any:
        text = given.text
        if key and text is not None:
            return literal(text)
        if argument.is_flag and (is_negated or text is None or text.lower() not in ("true", "false")):
            words.extend([] if text is None else [text])
            return not is_negated
        if text is None:
            raise ConfigurationError(f"{given.flag} has no value", "it needs one", f"write {given.flag} VALUE")
        try:
            return argument.from_text(text)
        except ValueError as error:
            raise _bad(given.flag, text, error) from error

    def _checked(self, table: Table, name: str, value: Any) -> Any:
        where = f"{table}.{name}"
        other: Table = "openai" if table == "engine" else "engine"
        argument = self._tables[table].get(name)
        if argument is None and name in self._tables[other] and name not in OURS:
            raise ConfigurationError(
                f"Unknown argument {where}", f"{name} belongs into the other table", f"write it under [{other}]"
            )
        if argument is None or name in OURS:
            raise self._unknown(name, where)
        if self._for_cpu and name in GPU_ONLY and value not in (0, None, "0"):
            raise ConfigurationError(f"{where} says nothing to vLLM's CPU build", *GPU_ONLY[name])
        try:
            return argument.from_text(value) if isinstance(value, Written) else argument.checked(value)
        except ValueError as error:
            raise _bad(where, value, error) from error

    def _unknown(self, name: str, written: str) -> ConfigurationError:
        if name in OURS:
            return ConfigurationError(f"{written} cannot be set", OURS[name], "leave it out")
        if name in REMOVED:
            return ConfigurationError(f"{written} is no argument of this vLLM any more", *REMOVED[name])
        known = [known for arguments in self._tables.values() for known in arguments]
        close = difflib.get_close_matches(name, known, n=1)
        dashed = close[0].replace("_", "-") if written.startswith("--") and close else "".join(close)
        hint = f"; did you mean {'--' if written.startswith('--') else ''}{dashed}?" if close else ""
        return ConfigurationError(
            f"Unknown argument {written}", f"neither Trident nor this vLLM has it{hint}", "see trident serve --help"
        )


def _arguments(described: Mapping[str, Mapping[str, Any]]) -> dict[str, Argument]:
    return {name: _argument(name, entry) for name, entry in described.items()}


def _argument(name: str, entry: Mapping[str, Any]) -> Argument:
    written = str(entry.get("type", ""))
    optional = _OPTIONAL.fullmatch(written)
    inner = next(part for part in optional.groups() if part is not None) if optional else written
    is_literal = inner.startswith("Literal[") and inner.endswith("]")
    return Argument(
        name=name,
        type=inner,
        # vLLM writes "int = None" here and there.
        is_optional=optional is not None or entry.get("default") is None,
        choices=tuple(entry.get("choices") or ()) if is_literal else (),
    )


def _whole_number(name: str, value: Any) -> int:
    if name == "max_model_len" and value == "auto":
        return -1  # vLLM's own way to say: as long as fits
    if isinstance(value, str) and (match := _READABLE_NUMBER.fullmatch(value)):
        return int(float(match[1]) * _MULTIPLES[match[2]])
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("it should be a whole number")


def _place(values: Any, keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
    values[keys[-1]] = value


def _bad(written: str, value: Any, error: ValueError) -> ConfigurationError:
    return ConfigurationError(f"Bad value for {written}", f"{error} (got {value!r})", "change it, or leave it out")
