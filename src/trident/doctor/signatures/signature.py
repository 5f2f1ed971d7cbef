"""How the cause of a failure looks in a log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Signature:
    """``pattern`` is searched in single lines; ``what``, ``why`` and ``fix`` may name its groups (``{port}``). A
    ``general`` one is only told when nothing better was found. ``seen`` says where the text comes from: ``log``, a
    failure that was provoked and whose log is among the tests' (``tests/unit/doctor/logs``), or ``text``, a message as
    the program's source or a report has it, for what the machine of the tests cannot be made to do."""

    name: str
    pattern: re.Pattern[str]
    what: str
    fix: str
    why: str = "{line}"
    general: bool = False
    seen: Literal["log", "text"] = "log"


def signature(
    name: str,
    pattern: str,
    what: str,
    fix: str,
    why: str = "{line}",
    *,
    general: bool = False,
    seen: Literal["log", "text"] = "log",
) -> Signature:
    """A signature; letters of the pattern match in either case only where it says so itself."""
    return Signature(name, re.compile(pattern), what, fix, why, general, seen)
