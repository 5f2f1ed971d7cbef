"""``trident env``: what a bug report needs to know."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from trident.cli import show


def env(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show versions, machine and places. Variables are told by name; keys and tokens never."""
    from trident.doctor import examination
    from trident.doctor.bundle import keys_of
    from trident.doctor.facts import facts
    from trident.doctor.redaction import Redactor

    subject = examination.patient()
    told = facts(subject)
    redactor = Redactor(keys_of(subject))
    text = json.dumps(told, indent=2, ensure_ascii=False) if as_json else "\n".join(_lines(told))
    show.line(redactor.text(text))


def _lines(told: dict[str, Any], prefix: str = "") -> list[str]:
    lines: list[str] = []
    for name, value in told.items():
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                lines += _lines(item, f"{prefix}{index}.") if isinstance(item, dict) else [f"{prefix}{index}  {item}"]
        elif value not in ("", None):
            lines.append(f"{prefix + name:<32} {value}")
    return lines
