"""What a check says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "warn", "fail"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True)
class Repair:
    """A fix that loses nothing and that ``--fix`` may do. ``act`` raises OSError or TridentError where it cannot."""

    what: str
    act: Callable[[], None]


@dataclass(frozen=True)
class Finding:
    """``check`` names the check and what it looked at (``model.weights``), ``text`` is one line for people; ``why`` and
    ``fix`` (a command, or a sentence that says what to change) are empty when all is well."""

    check: str
    level: Level
    text: str
    why: str = ""
    fix: str = ""
    repair: Repair | None = None

    @property
    def area(self) -> str:
        """The part of ``check`` that findings are grouped by."""
        return self.check.partition(".")[0]

    def as_json(self) -> dict[str, Any]:
        """For programs; ``fixable`` says that ``--fix`` would do something."""
        return {
            "check": self.check,
            "level": self.level,
            "text": self.text,
            "why": self.why,
            "fix": self.fix,
            "fixable": self.repair is not None,
        }


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, "ok", text)


def warn(check: str, text: str, why: str, fix: str, repair: Repair | None = None) -> Finding:
    """Serving works, but worse than it could, or may fail later."""
    return Finding(check, "warn", text, why, fix, repair)


def fail(check: str, text: str, why: str, fix: str, repair: Repair | None = None) -> Finding:
    """Serving cannot work like this."""
    return Finding(check, "fail", text, why, fix, repair)


def worst(findings: list[Finding]) -> Level:
    """The worst level of all, ``ok`` without any."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
