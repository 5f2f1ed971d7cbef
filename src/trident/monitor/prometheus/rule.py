"""Prometheus's rules as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["page", "ticket", "notice"]
"""page: somebody has to come now; ticket: somebody has to look at it in working hours; notice: Trident or the load will
most likely see to it, and it is good to know."""

Need = Literal["", "gpu"]


@dataclass(frozen=True)
class Recording:
    """``expr`` under the name ``record``. ``about`` says what it is, with its unit; without what it ``needs`` there is
    no such series."""

    record: str
    expr: str
    about: str
    labels: dict[str, str] = field(default_factory=dict)
    needs: Need = ""

    def rule(self) -> dict[str, Any]:
        """As a rule file has it."""
        return {"record": self.record, "expr": self.expr, **({"labels": self.labels} if self.labels else {})}


@dataclass(frozen=True)
class Alert:
    """Fires when ``expr`` has had a result for ``for_s`` seconds. ``summary`` says what happens, ``next_step`` what to
    do; both may have Prometheus's templates."""

    name: str
    expr: str
    severity: Severity
    summary: str
    next_step: str
    for_s: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    needs: Need = ""

    def rule(self) -> dict[str, Any]:
        """As a rule file has it."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": f"{self.for_s}s",
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {"summary": self.summary, "description": self.next_step},
        }


@dataclass(frozen=True)
class Group:
    """Evaluated together and in order, every ``interval_s``."""

    name: str
    interval_s: int
    rules: tuple[Recording | Alert, ...]

    def as_map(self) -> dict[str, Any]:
        """As a rule file has it."""
        rules = [rule.rule() for rule in self.rules]
        return {"name": self.name, "interval": f"{self.interval_s}s", "rules": rules}
