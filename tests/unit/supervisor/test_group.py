from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.config.models import Supervision
from trident.errors import EngineStartFailed, ServerFailed
from trident.supervisor.child import Command
from trident.supervisor.group import Group

COUNTED = 'open("lives", "a").write("x"); lives = len(open("lives").read()); '


def group(*commands: Command, **supervision: float) -> Group:
    return Group(commands, Supervision.model_validate({"stop_timeout_s": 5, **supervision}), lambda: None)


def in_folder(folder: Path, body: str) -> str:
    return f"os.chdir({str(folder)!r}); " + body


def lives(folder: Path) -> int:
    return len((folder / "lives").read_text())


def test_children_start_at_once_and_stop_in_reverse(tmp_path: Path) -> None:
    async def scenario() -> None:
        stopped: list[str] = []
        both = Group(
            [fakes.command(tmp_path, fakes.SERVES), fakes.http_command(tmp_path, fakes.free_port())],
            Supervision(),
            lambda: stopped.extend(
                member.command.name
                for member in both.members
                if member.child.phase == "stopped" and member.command.name not in stopped
            ),
        )
        await both.start()
        assert both.is_ready
        await both.stop(asyncio.Event())
        assert stopped == ["tritonserver", "engine host"]

    fakes.run(scenario())


def test_child_that_exits_with_3_is_tried_once_and_its_cause_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        both = group(
            fakes.command(tmp_path, in_folder(tmp_path, COUNTED + fakes.CANNOT)),
            fakes.command(tmp_path, fakes.SILENT, "tritonserver"),
        )
        with pytest.raises(EngineStartFailed, match="No such model"):
            await both.start()
        await both.stop(asyncio.Event())
        assert lives(tmp_path) == 1
        assert not any(member.child.is_alive for member in both.members)

    fakes.run(scenario())


def test_child_that_dies_after_ready_is_restarted_and_the_other_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        both = group(fakes.command(tmp_path, fakes.SERVES), fakes.http_command(tmp_path, fakes.free_port()))
        await both.start()
        watching = asyncio.ensure_future(both.watch())
        host, triton = both.members
        first_pid, triton_pid = host.child.pid, triton.child.pid
        assert first_pid is not None
        os.kill(first_pid, signal.SIGKILL)
        await fakes.until(lambda: not both.is_ready)
        assert host.state.phase == "died: killed by SIGKILL"
        await fakes.until(lambda: both.is_ready)
        assert host.child.pid != first_pid and triton.child.pid == triton_pid
        assert [member.state.restarts for member in both.members] == [1, 0]
        watching.cancel()
        await both.stop(asyncio.Event())

    fakes.run(scenario())


def test_child_that_keeps_dying_fails_the_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        body = in_folder(tmp_path, COUNTED + 'tell("ready"); sys.exit(1)')
        alone = group(fakes.command(tmp_path, body), max_restarts=1)
        await alone.start()
        with pytest.raises(ServerFailed) as caught:
            await asyncio.wait_for(alone.watch(), 10)
        assert caught.value.what == "The engine host keeps dying"
        assert caught.value.why == "died: exit code 1; 1 restarts did not help"
        assert lives(tmp_path) == 2

    fakes.run(scenario())


def test_child_that_cannot_be_started_again_fails_the_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        body = COUNTED + 'lives == 1 and (tell("ready"), sys.exit(1)); ' + fakes.CANNOT
        alone = group(fakes.command(tmp_path, in_folder(tmp_path, body)))
        await alone.start()
        with pytest.raises(ServerFailed, match="it is gone"):
            await asyncio.wait_for(alone.watch(), 10)
        await alone.stop(asyncio.Event())
        assert lives(tmp_path) == 2

    fakes.run(scenario())
