"""Writes a metric family in Prometheus's text format 0.0.4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Kind = Literal["gauge", "counter"]


class Family:
    """A counter's name ends in ``_total``."""

    def __init__(self, name: str, kind: Kind, help_text: str) -> None:
        self.name = name
        self._head = f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"
        self._samples: list[str] = []

    def add(self, value: float, **labels: str) -> None:
        """One sample."""
        self._samples.append(f"{series(self.name, labels)} {_number(value)}\n")

    def text(self) -> str:
        """Empty without a sample: a family that nothing is known of is absent."""
        return self._head + "".join(self._samples) if self._samples else ""


def series(name: str, labels: Mapping[str, str]) -> str:
    """What stands before a sample's value."""
    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{shown}}}" if shown else name


def _number(value: float) -> str:
    """The shortest text that is this number; Python's inf and nan are Go's too."""
    return str(int(value)) if isinstance(value, int) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
