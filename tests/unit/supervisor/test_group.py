from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.config.models import Supervision
from trident.errors import EngineStartFailed, ServerFailed
from trident.protocol import orders
from trident.supervisor.command import Command
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
        body = in_folder(tmp_path, COUNTED + 'lives == 1 and (tell("ready"), signal.pause()); sys.exit(1)')
        alone = group(fakes.command(tmp_path, body), max_restarts=1)
        await alone.start()
        pid = alone.members[0].child.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)  # one that ended by itself could be gone before its start is noticed
        with pytest.raises(ServerFailed) as caught:
            await asyncio.wait_for(alone.watch(), 10)
        assert caught.value.what == "The engine host keeps dying"
        assert caught.value.why == "died: exit code 1; 1 restarts did not help"
        assert lives(tmp_path) == 2

    fakes.run(scenario())


def test_child_that_cannot_be_started_again_fails_the_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        body = COUNTED + 'lives == 1 and (tell("ready"), signal.pause()); ' + fakes.CANNOT
        alone = group(fakes.command(tmp_path, in_folder(tmp_path, body)))
        await alone.start()
        pid = alone.members[0].child.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)  # one that ended by itself could be gone before its start is noticed
        with pytest.raises(ServerFailed, match="it is gone"):
            await asyncio.wait_for(alone.watch(), 10)
        await alone.stop(asyncio.Event())
        assert lives(tmp_path) == 2

    fakes.run(scenario())


def test_death_and_the_wait_after_it_are_in_the_state(tmp_path: Path) -> None:
    async def scenario() -> None:
        seen: list[tuple[str, int, bool]] = []

        def note() -> None:
            state = alone.members[0].state
            seen.append((state.last_death, state.crash_loop, state.next_start is not None))

        alone = Group([fakes.command(tmp_path, fakes.SERVES)], Supervision(), note)
        await alone.start()
        watching = asyncio.ensure_future(alone.watch())
        first_pid = alone.members[0].child.pid
        assert first_pid is not None
        os.kill(first_pid, signal.SIGKILL)
        await fakes.until(lambda: not alone.is_ready)
        await fakes.until(lambda: alone.is_ready)
        assert ("died: killed by SIGKILL, after serving for 0 s", 1, True) in seen
        assert seen[-1] == ("died: killed by SIGKILL, after serving for 0 s", 1, False)
        watching.cancel()
        await alone.stop(asyncio.Event())

    fakes.run(scenario())


def test_hosts_are_those_that_stubs_may_have_requests_at(tmp_path: Path) -> None:
    async def scenario() -> None:
        both = group(fakes.host(tmp_path), fakes.command(tmp_path, fakes.SERVES, "tritonserver"))
        old = both.members[0].child
        coming = both.take_beside(fakes.host(tmp_path))
        assert both.hosts == [old], "nobody can have one at an engine that has yet to start"
        coming.start()
        await both.start()
        await coming.child.wait_until_ready(10)
        assert both.hosts == [old, coming.child]
        both.leave_out(coming)
        both.take_beside(coming.command, both.members[0].put_in(coming.child, coming.command))
        assert both.hosts == [coming.child, old]
        await both.stop(asyncio.Event())

    fakes.run(scenario())


def test_host_that_refuses_already_is_drained_too_when_the_server_stops(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = group(fakes.host(tmp_path, "busy"))
        await one.start()
        host = one.members[0].child
        assert one.drainable == [host]
        host.order(orders.REFUSE)  # a reload has begun to drain it
        assert not host.is_ready and one.drainable == [host]
        await one.stop(asyncio.Event())
        assert one.drainable == []

    fakes.run(scenario())


def test_restart_that_the_system_refuses_is_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        alone = group(fakes.command(tmp_path, fakes.SERVES))
        await alone.start()
        watching = asyncio.ensure_future(alone.watch())
        member = alone.members[0]
        good, pid = member.command, member.child.pid
        assert pid is not None
        member.command = replace(good, log_path=tmp_path / "nowhere" / "engine.log")
        os.kill(pid, signal.SIGKILL)
        await fakes.until(lambda: member.restarts.count == 2)
        member.command = member.child.command = good
        await fakes.until(lambda: member.child.is_ready)
        await alone.stop(asyncio.Event())
        await watching

    fakes.run(scenario())
