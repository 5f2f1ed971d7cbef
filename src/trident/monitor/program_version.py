"""What a program says of itself."""

from __future__ import annotations

import subprocess
from pathlib import Path


def version(program: Path | str, timeout_s: float) -> str:
    """The first line that it says to ``--version``; why not, when it cannot be asked."""
    try:
        done = subprocess.run(
            [str(program), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout.decode(errors="replace").partition("\n")[0].strip()
