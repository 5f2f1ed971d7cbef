"""Runs uv: its binary, its environment, its output as progress and as a log."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trident.errors import EnvironmentBroken
from trident.runtime import pip_config
from trident.runtime.progress import Phase, Progress

TAIL_LINES = 60
UNIT_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
DOWNLOADING = re.compile(r"^\s*Downloading (?P<name>\S+) \((?P<size>[\d.]+) ?(?P<unit>[KMG]?i?B)\)")
DOWNLOADED = re.compile(r"^\s*(?:Downloaded|Built) (?P<name>\S+)")
COUNTED = re.compile(r"^(?P<verb>Resolved|Prepared|Installed|Checked) (?P<count>\d+) packages?")
COMPILED = re.compile(r"^Bytecode compiled (?P<count>\d+) files")

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """In a child before exec: a killed parent takes it along. The C library is loaded already, so this only calls."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(frozen=True)
class Outcome:
    """``tail`` is the end of what the command wrote, both streams in order."""

    code: int
    tail: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class Uv:
    """uv with the user's pip sources. ``keep_open`` is a file descriptor that children inherit: a lock on it is held
    as long as any of them lives."""

    binary: Path
    cwd: Path
    log_path: Path
    keep_open: int | None = None

    def run(self, arguments: Sequence[str], on_line: Callable[[str], None] | None = None, *, extra: bool = False,
            variables: dict[str, str] | None = None) -> Outcome:  # fmt: skip
        """Runs ``uv <arguments>``; ``extra`` also shows it pip's extra indexes, ``variables`` are defaults."""
        environ = (variables or {}) | dict(os.environ)
        environ |= pip_config.uv_variables(os.environ, extra_indexes=extra)
        # A uv inside some other project's environment would take it for its target.
        environ.pop("VIRTUAL_ENV", None)
        return run_logged([str(self.binary), "--color", "never", *arguments], environ, self.cwd, self.log_path, on_line,
                          keep_open=self.keep_open)  # fmt: skip


def find_uv() -> Path:
    """uv's binary: the one that came with Trident. Raises ``EnvironmentBroken``."""
    try:
        import uv

        return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        raise EnvironmentBroken(
            "uv is missing: the engine environment cannot be made.",
            f"the Python package uv, or its binary, is not in Trident's environment ({error})",
            "python -m pip install --force-reinstall uv",
        ) from error


def run_logged(command: Sequence[str], environ: dict[str, str], cwd: Path, log_path: Path,
               on_line: Callable[[str], None] | None = None, *, keep_open: int | None = None) -> Outcome:  # fmt: skip
    """Runs ``command`` without a terminal, its lines to the log and to ``on_line``. Leaves no process behind, whatever
    exception passes through."""
    with log_path.open("a") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is ours to handle: the child is ended here, then cleaned up after
            preexec_fn=die_with_parent,
            pass_fds=() if keep_open is None else (keep_open,),
        )
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        assert process.stdout
        try:
            for line in process.stdout:
                log.write(line)
                tail.append(line.rstrip())
                if on_line:
                    on_line(line.rstrip())
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            process.stdout.close()
        log.write(f"= exit code {code}\n")
    return Outcome(code, tuple(tail))


class Meter:
    """Turns uv's lines into progress: feed lines, get the state after each that says something."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.done = 0
        self.total = 0
        self.bytes = 0

    def feed(self, line: str) -> Progress | None:
        if match := DOWNLOADING.match(line):
            self.bytes += round(float(match["size"]) * UNIT_BYTES.get(match["unit"], 1))
            return self._now(f"downloading {match['name']} ({match['size']} {match['unit']})")
        if match := DOWNLOADED.match(line):
            self.done += 1
            return self._now(f"downloaded {match['name']}")
        if match := COUNTED.match(line):
            return self._counted(match["verb"], int(match["count"]))
        if match := COMPILED.match(line):
            return self._now(f"compiled {match['count']} files")
        return None

    def _counted(self, verb: str, count: int) -> Progress:
        if verb == "Resolved":
            self.total = count
            return self._now(f"{count} packages to install")
        if verb == "Prepared":
            return self._now("installing")
        self.done = self.total = max(self.total, count)
        return self._now(f"installed {count} packages" if verb == "Installed" else "nothing to install")

    def _now(self, detail: str) -> Progress:
        return Progress(
            self.phase, detail, min(self.done, self.total) if self.total else self.done, self.total, self.bytes
        )
