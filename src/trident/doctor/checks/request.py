"""One true request through every door of a server that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from trident.config.models import Config
from trident.doctor.finding import Finding, fail, ok, warn
from trident.doctor.patient import Patient
from trident.errors import TridentError
from trident.supervisor import run_directory
from trident.supervisor.door_probe import DoorProbe, doors_of
from trident.supervisor.doors import Answer
from trident.supervisor.state import ServerState

TIMEOUT_S = 60.0


def request(patient: Patient) -> Iterator[Finding]:
    """Generates a few tokens, or an embedding where the model makes those. Nothing where no server runs."""
    server = patient.server
    if patient.config is None or server is None or not patient.serves:
        return
    if server.phase != "ready":
        note = f" ({server.note})" if server.note else ""
        yield warn(
            "server.request",
            f"The server {server.name} is {server.phase}{note}",
            "it is not asked before it is ready",
            "watch it: trident status",
        )
        return
    answers: list[Answer] = []
    try:
        # What it was started with, which is not what the files say by now.
        running = run_directory.config_of(patient.config.run_dir)
        asyncio.run(_ask(running, server, answers))
    except (TridentError, OSError, ValueError) as error:
        why = error.why if isinstance(error, TridentError) else str(error)
        what = error.what if isinstance(error, TridentError) else "The running server could not be asked"
        yield fail(
            "server.request", what, why, f"trident logs --name {server.name}; trident status --name {server.name}"
        )
        return
    yield ok("server.request", ", ".join(f"{answer.name} {answer.seconds:.2f} s" for answer in answers) or "no doors")


async def _ask(config: Config, server: ServerState, answers: list[Answer]) -> None:
    own = config.contracts.generate_name if config.model is not None else None
    kept = {
        child.counts.model: tuple(child.facts["tasks"])
        for child in server.children
        if child.counts and "tasks" in child.facts and child.counts.model != own
    }
    await DoorProbe().run(doors_of(config, TIMEOUT_S, server.tasks, kept), answers.append)
