"""What a child's log says about why it ended."""

from __future__ import annotations

import re
import signal
from pathlib import Path

TAIL_BYTES = 256 * 1024
LONGEST_CAUSE = 500

_SPECIFIC = re.compile(r"failed to load '|TritonModelException|cannot run ")
_ERROR = re.compile(r"^E\d{4} |failed to load|\berror:|^(\w+\.)*\w*(Error|Exception)\b: ?", re.IGNORECASE)
_TRITON_PREFIX = re.compile(r"^[EWI]\d{4} [\d:.]+ \d+ [\w.]+:\d+\] ")


def read_tail(path: Path, start: int = 0, longest_bytes: int = TAIL_BYTES) -> list[str]:
    """The last lines of a file, none of them from before byte ``start``; empty when there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(start, size - longest_bytes))
            return file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def from_log(path: Path, start: int = 0) -> str | None:
    """The line of the log that names the cause best, without its prefix; None when no line looks like an error.

    Triton ends with "failed to load all models", which says nothing: the line that names a model comes first.
    """
    errors = [line.strip() for line in read_tail(path, start) if _ERROR.search(line.strip())]
    specific = [line for line in errors if _SPECIFIC.search(line)]
    chosen = specific[0] if specific else errors[-1] if errors else None
    if chosen is None:
        return None
    # Triton writes a Python traceback into its one line, with newlines spelled out; its first line is the cause.
    return _TRITON_PREFIX.sub("", chosen).split("\\n")[0].removeprefix("error: ").strip('"')[:LONGEST_CAUSE]


def from_exit(code: int) -> str:
    """An exit code of ``subprocess`` in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
