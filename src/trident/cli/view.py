"""The start and stop of a server as a user sees it: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from trident.cli import show

if TYPE_CHECKING:
    from rich.table import Table

    from trident.supervisor.state import ServerState

DOORS = "front doors"
LOST = ("died", "failed", "killed", "degraded")


class Row(NamedTuple):
    """One line of the view; ``since`` is Unix time."""

    name: str
    phase: str
    since: float
    is_done: bool
    is_lost: bool


class View(Protocol):
    """Is given each state in order. ``tick`` is called a few times a second; ``close`` leaves the screen in order."""

    def update(self, state: ServerState) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


def make(started: float) -> View:
    """The view for standard output; ``started`` is when the user began to wait, in Unix time."""
    return LiveView(started) if show.is_terminal() else PlainView(started)


def rows(state: ServerState) -> list[Row]:
    """Children, then the front doors once somebody knocks at them."""
    found = [
        Row(child.name, child.phase, child.since, child.is_ready, child.phase.startswith(LOST))
        for child in state.children
    ]
    if state.doors and state.phase in ("starting", "ready", "degraded"):
        answered = [door for door in state.doors if door.ok]
        refused = [door for door in state.doors if door.why]
        phase = f"{len(answered)} of {len(state.doors)} have answered"
        if refused:
            phase = f"{refused[0].name}: {refused[0].why}"
        since = max((child.since for child in state.children), default=state.since)
        found.append(Row(DOORS, phase, since, len(answered) == len(state.doors), bool(refused)))
    return found


class PlainView:
    """A line when a row changes: ``[  3.2 s] engine host: importing vLLM``."""

    def __init__(self, started: float, known: ServerState | None = None) -> None:
        """What is in ``known`` has been shown already."""
        self._started = started
        self._shown = {row.name: row.phase for row in rows(known)} if known else {}

    def update(self, state: ServerState) -> None:
        for row in rows(state):
            if self._shown.get(row.name) != row.phase:
                self._shown[row.name] = row.phase
                show.line(f"[{time.time() - self._started:5.1f} s] {row.name}: {row.phase}")
        if state.note and self._shown.get("") != state.note:
            show.line(f"[{time.time() - self._started:5.1f} s] {state.note}")
        self._shown[""] = state.note

    def tick(self) -> None:
        """Nothing moves in plain lines."""

    def close(self) -> None:
        """Nothing is open."""


class LiveView:
    """A table that is drawn again in place. It is drawn by ``tick`` and ``update``, not by a thread of its own."""

    def __init__(self, started: float) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._started = started
        self._state: ServerState | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=show.console(), auto_refresh=False, transient=False)
        self._is_open = False

    def update(self, state: ServerState) -> None:
        self._state = state
        if not self._is_open:
            self._live.start()
            self._is_open = True
        self.tick()

    def tick(self) -> None:
        if self._is_open and self._state is not None:
            self._live.update(self._table(self._state), refresh=True)

    def close(self) -> None:
        if self._is_open:
            self.tick()
            self._live.stop()
            self._is_open = False

    def _table(self, state: ServerState) -> Table:
        from rich.table import Table
        from rich.text import Text

        now = time.time()
        table = Table.grid(padding=(0, 2))
        for row in rows(state):
            sign = Text("✓", "green") if row.is_done else Text("✗", "red") if row.is_lost else self._spinner
            if row.phase == "stopped":
                sign = Text("·", "dim")
            seconds = "" if row.is_done or row.phase == "stopped" else f"{now - row.since:.1f} s"
            table.add_row(sign, Text(row.name, "bold"), Text(row.phase), Text(seconds, "dim"))
        table.add_row("", Text(state.phase, "bold"), Text(state.note), Text(f"{now - self._started:.1f} s", "dim"))
        return table
