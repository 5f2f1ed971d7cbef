"""``trident logs``: the logs of one child, or all of them with the child's name in front."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from trident.cli import show

POLL_S = 0.2


def logs(
    child: Annotated[str | None, typer.Argument(help="engine, triton or supervisor. (default all)")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines of each.")] = 50,
    name: Annotated[str | None, typer.Option("--name", help="Name of the server.")] = None,
) -> None:
    """Show the logs of a server; also of one that has ended."""
    readers = [Reader(path) for path in find(name, child)]
    prefix_width = max(len(reader.name) for reader in readers) if len(readers) > 1 else 0
    for reader in readers:
        for line in reader.last(lines):
            _print(reader.name, line, prefix_width)
    while follow:
        for reader in readers:
            for line in reader.new():
                _print(reader.name, line, prefix_width)
        time.sleep(POLL_S)


def find(name: str | None, child: str | None) -> list[Path]:
    """The log files. Raises NotRunning when the server has never run, ConfigurationError for an unknown child."""
    from trident.config import load, paths
    from trident.errors import ConfigurationError, NotRunning

    name = name or load().name
    folder = paths.run_dir(name) / "logs"
    found = sorted(folder.glob("*.log"))
    if not found:
        raise NotRunning(f"No server named {name} has logs", f"{folder} has none", "start one: trident serve")
    if child is None:
        return found
    wanted = [path for path in found if path.stem == child.removesuffix(".log")]
    if not wanted:
        known = ", ".join(path.stem for path in found)
        raise ConfigurationError(f"There is no log of {child}", f"there are {known}", "choose one of them")
    return wanted


class Reader:
    """Reads a log as it grows; starts over when a new run has put a new file in its place."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._offset = 0
        self._inode = 0
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last whole lines there are now."""
        return self.new()[-count:] if count else self.new()[:0]

    def new(self) -> list[str]:
        """The whole lines that have come since."""
        try:
            with self._path.open("rb") as file:
                inode = self._path.stat().st_ino
                if inode != self._inode or self._path.stat().st_size < self._offset:
                    self._inode, self._offset, self._rest = inode, 0, b""
                file.seek(self._offset)
                data = file.read()
                self._offset = file.tell()
        except FileNotFoundError:
            return []
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]


def _print(name: str, line: str, prefix_width: int) -> None:
    show.line(f"{name:<{prefix_width}} | {line}" if prefix_width else line)
