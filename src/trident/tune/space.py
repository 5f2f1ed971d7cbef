"""The space of one search: the prior's knobs, as far as the installed vLLM has them and the load can feel them.

A value that vLLM's own list of arguments refuses is left out, and so is what the base configuration has already. What
was left out is kept with its reason: a report that is silent about a knob would look as if it had been tried.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trident.config.engine_arguments import EngineArguments
from trident.errors import ConfigurationError
from trident.tune.knobs import KNOBS, PRESETS, Build, Knob
from trident.tune.records import Changes

NUMERICS = "it changes what the model computes; --allow-numerics lets it in"


@dataclass(frozen=True)
class Space:
    """``knobs`` maps a name to its values; the base configuration's own is not among them. ``numerics`` are the names
    of those that change what the model computes."""

    knobs: Mapping[str, Sequence[Any]]
    sections: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    presets: Sequence[Changes] = ()
    numerics: Sequence[str] = ()

    def changes_numerics(self, changes: Mapping[str, Any]) -> bool:
        """The answers may become others."""
        return any(name in self.numerics for name in changes)

    def __contains__(self, changes: object) -> bool:
        return isinstance(changes, Mapping) and all(
            name in self.knobs and value in self.knobs[name] for name, value in changes.items()
        )


def key(changes: Mapping[str, Any]) -> str:
    """The same for equal changes, whatever their order."""
    return repr(sorted((name, repr(value)) for name, value in changes.items()))


def make(
    knobs: Iterable[Knob],
    arguments: EngineArguments,
    base: Mapping[str, Mapping[str, Any]],
    *,
    build: Build,
    doors: Sequence[str] = ("engine",),
    allow_numerics: bool = False,
    asked: Mapping[str, Sequence[Any]] | None = None,
    lacks: Callable[[str, Any], str | None] = lambda _, __: None,
) -> Space:
    """``base`` are the tables of the base configuration; ``doors`` the sections that the load can feel (``stubs`` only
    through Triton). ``asked`` are the user's own knobs: they replace the prior's values, and alone are not left out
    silently. ``lacks`` says what a value of a knob needs that this machine has not. Raises ConfigurationError for a
    knob of the user's that vLLM does not take."""
    found: dict[str, list[Any]] = {}
    sections: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for knob in knobs:
        if knob.name in (asked or {}):
            continue
        why = _reason(knob, build, doors, allow_numerics)
        lacking = [lacks(knob.name, value) for value in knob.values]
        values = [value for value, lack in zip(knob.values, lacking, strict=True) if lack is None]
        why = why or (None if values else lacking[0])
        values = [value for value in values if _is_taken(arguments, knob.section, knob.name, value)]
        values = [value for value in values if value != _set_in(base, knob.section, knob.name)]
        if why is None and not values:
            why = "this vLLM does not take it"
        if why is not None:
            left_out[knob.name] = why
            continue
        found[knob.name], sections[knob.name] = _with_none(values, base, knob.name, knob.section), knob.section
    for name, wanted in (asked or {}).items():
        checked = [arguments.check({"engine": {name: value}})["engine"][name] for value in wanted]
        found[name] = _with_none([value for value in checked if value != _set_in(base, "engine", name)], base, name)
        sections[name] = "engine"
    space = Space(found, sections, left_out)
    numeric = [knob.name for knob in KNOBS if knob.changes_numerics and knob.name in found]
    return Space(found, sections, left_out, _presets(space), numeric)


def _reason(knob: Knob, build: Build, doors: Sequence[str], allow_numerics: bool) -> str | None:
    if build not in knob.builds:
        return f"it does nothing on a {build} build"
    if knob.section not in doors:
        return "the load does not go through it"
    if knob.needs is not None and shutil.which(knob.needs) is None:
        return f"it needs {knob.needs}, which is not here"
    return NUMERICS if knob.changes_numerics and not allow_numerics else None


def _with_none(
    values: list[Any], base: Mapping[str, Mapping[str, Any]], name: str, section: str = "engine"
) -> list[Any]:
    """Where the user's configuration sets a knob, vLLM's own choice is one of the values: None takes it out."""
    return values if _set_in(base, section, name) is None else [None, *values]


def _set_in(base: Mapping[str, Mapping[str, Any]], section: str, name: str) -> Any:
    table = base.get(section, {})
    return table.get(name) if isinstance(table, Mapping) else None


def _is_taken(arguments: EngineArguments, section: str, name: str, value: Any) -> bool:
    if section != "engine":
        return True
    try:
        arguments.check({"engine": {name: value}})
    except ConfigurationError:
        return False
    return True


def _presets(space: Space) -> list[Changes]:
    """What the user has set is first put back to vLLM's own choice, all of it at once and then each alone."""
    unset = [{name: None} for name, values in space.knobs.items() if None in values]
    everything: Changes = {name: None for one in unset for name in one}
    found: list[Changes] = [everything] if everything else []
    found += [one for one in unset if len(unset) > 1]
    for preset in PRESETS:
        fitting = {name: value for name, value in preset.items() if value in space.knobs.get(name, ())}
        if fitting == preset:
            found.append(fitting)
    if found:
        return found
    return [{name: values[len(values) // 2]} for name, values in space.knobs.items()]
