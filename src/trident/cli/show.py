"""Printing: the only place where Trident writes to the terminal."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trident.errors import TridentError

if TYPE_CHECKING:
    from rich.console import Console


def line(text: str = "") -> None:
    """One line on standard output, seen at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """One line on standard error: about the work, not its result."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def going_on() -> Iterator[None]:
    """Inside, a reader of our output who has gone (``| head``, a closed terminal) ends nothing: the rest is unread."""
    try:
        yield
    except OSError as gone:
        if gone.errno not in (errno.EPIPE, errno.EIO):
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def open_closed_streams() -> None:
    """Gives a process that was started with ``<&-``, ``>&-`` or ``2>&-`` streams that lead nowhere: else the next file
    that is opened would be taken for them, and printing would fail."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def error(problem: TridentError) -> None:
    """Three plain lines."""
    for text in problem.lines():
        note(text)


def usage(problem: Any) -> None:
    """Three lines about a command line that typer cannot take; the help itself where no command is named."""
    if type(problem).__name__ == "NoArgsIsHelpError":
        problem.show()
        return
    context = getattr(problem, "ctx", None)
    how = context.get_usage().partition(":")[2].strip() if context else "trident COMMAND"
    note(problem.format_message().replace("Value error, ", "").rstrip("."))
    note(f"  why:  the command is used as {' '.join(how.split())}")
    note(f"  next: see {context.command_path if context else 'trident'} --help")


def defect(problem: BaseException) -> None:
    """Three lines about an exception that nobody expected; its traceback goes into a file."""
    place = _save_traceback(problem)
    note(f"Trident failed in a way it did not expect: {type(problem).__name__}: {problem}")
    note("  why:  a defect of Trident, most likely")
    note(f"  next: run it again with --debug and report it{f' (log: {place})' if place else ''}")


def _save_traceback(problem: BaseException) -> Path | None:
    from trident.config import paths

    place = paths.state_dir() / "last-defect.log"
    text = "".join(traceback.format_exception(problem))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{datetime.now().astimezone().isoformat()} {sys.argv}\n{text}", encoding="utf-8")
    except OSError:
        return None
    return place


def is_terminal() -> bool:
    """Somebody looks at standard output, and lines there can be drawn again."""
    return sys.stdout.isatty() and os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


def console() -> Console:
    """Rich's console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns, two spaces between; plain text, so that it can be cut and grepped."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def duration(seconds: float) -> str:
    """``12 s``, ``3 min``, ``2 h 5 min``, ``4 d 1 h``."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if seconds < 60:
        return f"{max(0, int(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{days} d {hours % 24} h"
