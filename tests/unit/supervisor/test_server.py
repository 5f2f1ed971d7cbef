from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import supervisor_fakes as fakes

from trident.config.models import Config
from trident.errors import EngineStartFailed
from trident.supervisor import state
from trident.supervisor.command import Command
from trident.supervisor.server import Server
from trident.supervisor.state import ServerState


def config(**supervision: float) -> Config:
    doors = ("http_port", "grpc_port", "metrics_port", "openai_port")
    free = dict(zip(doors, fakes.free_ports(4), strict=True))
    return Config.model_validate({"listen": free, "supervision": {"stop_timeout_s": 5, **supervision}})


def saved(of: Config) -> ServerState:
    found = state.load(of.run_dir)
    assert found is not None
    return found


def serve(
    of: Config,
    make: Callable[[Path], list[Command]],
    meanwhile: Callable[[list[ServerState]], Coroutine[Any, Any, None]],
) -> list[ServerState]:
    """Runs a server and, beside it, ``meanwhile``; all states in order."""
    states: list[ServerState] = []

    async def scenario() -> None:
        server = Server(of, fakes.FakePlanner(make), states.append)
        await asyncio.gather(server.run(), meanwhile(states))

    fakes.run(scenario())
    return states


def phases(states: list[ServerState]) -> list[str]:
    return [
        now.phase
        for before, now in zip([None, *states], states, strict=False)
        if not before or before.phase != now.phase
    ]


async def until_ready(states: list[ServerState]) -> None:
    await fakes.until(lambda: states and states[-1].phase == "ready")


def test_sigint_stops_all_and_leaves_nothing() -> None:
    of = config()

    async def meanwhile(states: list[ServerState]) -> None:
        await until_ready(states)
        assert saved(of).phase == "ready" and saved(of).is_running()
        os.kill(os.getpid(), signal.SIGINT)

    both = lambda logs: [fakes.command(logs, fakes.SERVES), fakes.http_command(logs, of.listen.http_port)]  # noqa: E731
    states = serve(of, both, meanwhile)
    assert phases(states) == ["starting", "ready", "stopping", "stopped"]
    assert [child.phase for child in states[-1].children] == ["stopped", "stopped"]
    assert not of.sockets_dir.exists()
    assert "server is ready" in (of.run_dir / "logs" / "supervisor.log").read_text()


def test_second_signal_forces() -> None:
    of = config(stop_timeout_s=60)

    async def meanwhile(states: list[ServerState]) -> None:
        await until_ready(states)
        os.kill(os.getpid(), signal.SIGTERM)
        await fakes.until(lambda: states[-1].children[0].phase == "stopping")
        os.kill(os.getpid(), signal.SIGINT)

    states = serve(of, lambda logs: [fakes.command(logs, fakes.STUBBORN)], meanwhile)
    assert states[-1].children[0].phase == "killed"
    assert states[-1].phase == "stopped"


def test_signal_while_starting_stops() -> None:
    of = config()

    async def meanwhile(states: list[ServerState]) -> None:
        await fakes.until(lambda: states and states[-1].children[0].phase == "starting")
        os.kill(os.getpid(), signal.SIGTERM)

    states = serve(of, lambda logs: [fakes.command(logs, fakes.SILENT)], meanwhile)
    assert phases(states) == ["starting", "stopping", "stopped"]


def test_failed_start_is_told_and_saved() -> None:
    of = config()

    async def nothing(_: list[ServerState]) -> None:
        pass

    with pytest.raises(EngineStartFailed, match="No such model"):
        serve(of, lambda logs: [fakes.command(logs, fakes.CANNOT), fakes.command(logs, fakes.SILENT, "b")], nothing)
    last = saved(of)
    assert last.phase == "failed" and last.error is not None
    assert (last.error.kind, last.error.exit_code) == ("EngineStartFailed", 3)
    assert all(child.process is None for child in last.children)


def test_server_is_degraded_until_a_restarted_child_is_ready() -> None:
    of = config()

    async def meanwhile(states: list[ServerState]) -> None:
        await until_ready(states)
        victim = states[-1].children[0].process
        assert victim is not None
        os.kill(victim.pid, signal.SIGKILL)
        await fakes.until(lambda: states[-1].phase == "degraded")
        await until_ready(states)
        os.kill(os.getpid(), signal.SIGINT)

    states = serve(of, lambda logs: [fakes.command(logs, fakes.SERVES)], meanwhile)
    assert phases(states) == ["starting", "ready", "degraded", "ready", "stopping", "stopped"]
    assert states[-1].children[0].restarts == 1


def test_state_of_a_killed_supervisor_is_known_to_be_stale() -> None:
    of = config()

    async def meanwhile(states: list[ServerState]) -> None:
        await until_ready(states)
        os.kill(os.getpid(), signal.SIGINT)

    states = serve(of, lambda logs: [fakes.command(logs, fakes.SERVES)], meanwhile)
    ready = next(state for state in states if state.phase == "ready")
    assert ready.is_running()
    other = type(ready.process)(ready.process.pid, ready.process.started_ticks - 1)
    assert not type(ready)(name="x", run_dir="", process=other, started=0, phase="ready", since=0).is_running()


def test_stop_drains_says_so_and_ends_what_takes_too_long() -> None:
    of = config(drain_s=0.4)

    async def meanwhile(states: list[ServerState]) -> None:
        await until_ready(states)
        os.kill(os.getpid(), signal.SIGTERM)

    states = serve(of, lambda logs: [fakes.host(logs, "busy")], meanwhile)
    assert phases(states) == ["starting", "ready", "draining", "stopping", "stopped"]
    assert "what is in flight gets up to 0.4 s to finish" in "".join(state.note for state in states)
    assert "ends with an error" in (of.run_dir / "logs" / "supervisor.log").read_text()


def test_stop_with_nothing_in_flight_does_not_drain() -> None:
    async def meanwhile(states: list[ServerState]) -> None:
        await until_ready(states)
        os.kill(os.getpid(), signal.SIGTERM)

    states = serve(config(), lambda logs: [fakes.host(logs)], meanwhile)
    assert phases(states) == ["starting", "ready", "stopping", "stopped"]


def test_second_signal_ends_the_drain() -> None:
    async def meanwhile(states: list[ServerState]) -> None:
        await until_ready(states)
        os.kill(os.getpid(), signal.SIGINT)
        await fakes.until(lambda: states[-1].phase == "draining")
        os.kill(os.getpid(), signal.SIGINT)

    states = serve(config(drain_s=60), lambda logs: [fakes.host(logs, "busy")], meanwhile)
    assert phases(states) == ["starting", "ready", "draining", "stopping", "stopped"]
