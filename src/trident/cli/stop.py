"""``trident stop``: end a server, and say what is awaited."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trident.cli import show
from trident.cli.status import named, running

if TYPE_CHECKING:
    from trident.supervisor.state import ServerState

POLL_S = 0.05
FORCED_TIME_S = 10.0
EXTRA_TIME_S = 30.0
"""Beyond what its children may take: the supervisor has its own to clear."""


def stop(
    name: Annotated[str | None, typer.Option("--name", help="Name of the server.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Kill at once, without waiting for answers in flight.")
    ] = False,
) -> None:
    """Stop a server: tritonserver first, then the engine. Exit code 4 when none is running."""
    from trident.errors import ServerFailed

    found = running(name)
    os.kill(found.process.pid, signal.SIGTERM)
    if force:
        # The supervisor forces at the second signal; two of one kind at once would arrive as one.
        os.kill(found.process.pid, signal.SIGINT)
    if not _wait(found, FORCED_TIME_S if force else _time_s(found)):
        show.note(f"The supervisor (process {found.process.pid}) does not end and is killed")
        found.process.kill()
        if not _wait(found, FORCED_TIME_S):
            raise ServerFailed(
                f"The server {found.name} does not end",
                f"process {found.process.pid} survives SIGKILL",
                f"try again, or restart the machine; see trident logs{named(found.name)}",
            )
        _sweep(found)
    show.line(f"{found.name} is stopped")


def _time_s(found: ServerState) -> float:
    from trident.supervisor import run_directory

    supervision = run_directory.config_of(Path(found.run_dir)).supervision
    return supervision.drain_s + supervision.stop_timeout_s * max(1, len(found.children)) + EXTRA_TIME_S


def _wait(found: ServerState, limit_s: float) -> bool:
    from trident.cli.view import PlainView
    from trident.supervisor import state

    shown = PlainView(time.time(), known=found)
    end = time.monotonic() + limit_s
    while found.process.is_running():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
        now = state.load(Path(found.run_dir))
        if now is not None:
            shown.update(now)
    return True


def _sweep(found: ServerState) -> None:
    """What a killed supervisor could not do: its children died with it, its files did not."""
    from trident.supervisor.run_directory import RunDirectory, config_of
    from trident.triton.command import shm_prefix

    config = config_of(Path(found.run_dir))
    RunDirectory(config, shm_prefix(config)).sweep()
