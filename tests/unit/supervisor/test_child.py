from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.errors import EngineStartFailed
from trident.supervisor.child import Child
from trident.supervisor.processes import Process, children_of


def ignore() -> None:
    pass


def test_child_that_says_ready_is_alive_and_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        phases: list[str] = []
        child = Child(fakes.command(tmp_path, fakes.SERVES), lambda: phases.append(child.phase))
        child.start()
        assert child.is_alive and not child.is_ready
        await child.wait_until_ready(10)
        assert child.is_ready and child.ready is not None and child.ready.facts == {"doors": 1}
        await child.stop(5, asyncio.Event())
        assert phases == ["starting", "thinking", "ready", "stopping", "stopped"]
        assert child.exit_code == -signal.SIGTERM

    fakes.run(scenario())


def test_who_waits_for_a_child_is_cancelled_even_as_it_becomes_ready(tmp_path: Path) -> None:
    async def scenario() -> None:
        def cancel() -> None:
            if child.ready is not None:
                waiting.cancel()

        child = Child(fakes.command(tmp_path, fakes.SERVES), cancel)
        waiting = asyncio.ensure_future(asyncio.sleep(0))
        child.start()
        waiting = asyncio.ensure_future(child.wait_until_ready(10))
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        await child.stop(5, asyncio.Event())

    fakes.run(scenario())


def test_child_without_status_is_ready_when_it_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.http_command(tmp_path, fakes.free_port()), ignore)
        child.start()
        await child.wait_until_ready(10)
        await child.stop(5, asyncio.Event())
        assert not child.is_alive

    fakes.run(scenario())


def test_child_that_ignores_sigterm_is_killed_after_the_deadline(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, fakes.STUBBORN), ignore)
        child.start()
        await child.wait_until_ready(10)
        started = time.monotonic()
        await child.stop(0.2, asyncio.Event())
        assert 0.2 <= time.monotonic() - started < 2
        assert child.phase == "killed: it had not stopped after 0.2 s"
        assert child.exit_code == -signal.SIGKILL

    fakes.run(scenario())


def test_stop_when_forced_does_not_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, fakes.STUBBORN), ignore)
        child.start()
        await child.wait_until_ready(10)
        force = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, force.set)
        started = time.monotonic()
        await child.stop(60, force)
        assert time.monotonic() - started < 2
        assert child.phase == "killed"

    fakes.run(scenario())


def test_child_that_fails_is_quoted(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, fakes.CANNOT), ignore)
        child.start()
        with pytest.raises(EngineStartFailed) as caught:
            await child.wait_until_ready(10)
        assert caught.value.lines() == [
            "No such model",
            "  why:  it is gone",
            f"  next: bring it back (log: {tmp_path}/engine.log)",
        ]
        await child.wait()
        assert child.exit_code == 3

    fakes.run(scenario())


def test_child_that_ends_without_a_word_is_explained_by_its_log(tmp_path: Path) -> None:
    body = "print('ValueError: of an earlier life', flush=True)"
    (tmp_path / "engine.log").write_text("RuntimeError: of the life before\n")

    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, body.replace("an earlier life", "this life")), ignore)
        child.start()
        with pytest.raises(EngineStartFailed) as caught:
            await child.wait_until_ready(10)
        assert caught.value.why == "ValueError: of this life (exit code 0)"

    fakes.run(scenario())


def test_child_whose_program_is_missing_is_explained(tmp_path: Path) -> None:
    async def scenario() -> None:
        command = fakes.command(tmp_path, "")
        child = Child(type(command)(command.name, ["/no/such/program"], command.env, command.log_path), ignore)
        child.start()
        with pytest.raises(EngineStartFailed, match="cannot run /no/such/program: No such file or directory"):
            await child.wait_until_ready(10)

    fakes.run(scenario())


def test_child_that_is_not_ready_in_time_is_named_with_its_phase(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, 'tell("phase", text="loading weights"); ' + fakes.SILENT), ignore)
        child.start()
        await fakes.until(lambda: child.phase == "loading weights")
        with pytest.raises(EngineStartFailed) as caught:
            await child.wait_until_ready(0.05)
        assert caught.value.what == "The engine host is not ready after 0.05 s"
        assert caught.value.why == "the last thing it did: loading weights"
        await child.stop(5, asyncio.Event())

    fakes.run(scenario())


GRANDCHILD = """
grandchild = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
tell("ready", pids={"engine core": grandchild.pid})
"""


def test_children_of_a_child_die_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, GRANDCHILD + "signal.pause()"), ignore)
        child.start()
        await child.wait_until_ready(10)
        grandchild = child.parts["engine core"].pid
        assert child.pid is not None
        os.kill(child.pid, signal.SIGUSR1)
        await child.wait()
        await fakes.until(lambda: fakes.is_gone(grandchild))
        assert child.phase.startswith("died: ") and "SIGUSR1" in child.phase

    fakes.run(scenario())


def test_child_whose_vital_part_dies_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trident.supervisor.parts.LOOK_S", 0.02)

    async def scenario() -> None:
        find = partial(children_of, command="time.sleep(60)", name="stub")
        child = Child(fakes.command(tmp_path, GRANDCHILD + "signal.pause()", find_parts=find), ignore)
        child.start()
        await child.wait_until_ready(10)
        await fakes.until(lambda: "stub 1" in child.parts)
        os.kill(child.parts["stub 1"].pid, signal.SIGKILL)
        await asyncio.wait_for(child.wait(), 5)
        assert child.phase.startswith("killed: its stub 1 (pid ")

    fakes.run(scenario())


ENDS_ITS_PART = """
def end(*_):
    grandchild.kill(); grandchild.wait()
signal.signal(signal.SIGUSR1, end)
"""


def test_child_may_end_a_part_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trident.supervisor.parts.LOOK_S", 0.02)

    async def scenario() -> None:
        find = partial(children_of, command="time.sleep(60)", name="stub")
        child = Child(fakes.command(tmp_path, ENDS_ITS_PART + GRANDCHILD + "time.sleep(60)", find_parts=find), ignore)
        child.start()
        await child.wait_until_ready(10)
        await fakes.until(lambda: "stub 1" in child.parts)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGUSR1)
        await fakes.until(lambda: "stub 1" not in child.parts)
        assert child.is_ready
        await child.stop(5, asyncio.Event())

    fakes.run(scenario())


STOPS_ITS_PART_FIRST = """
def stop(*_):
    grandchild.kill(); grandchild.wait(); time.sleep(0.3); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
"""


def test_child_that_stops_may_end_its_parts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trident.supervisor.parts.LOOK_S", 0.02)
    cleared: list[bool] = []
    body = STOPS_ITS_PART_FIRST + GRANDCHILD + "time.sleep(60)"

    async def scenario() -> None:
        command = fakes.command(tmp_path, body, find_parts=lambda _: {}, on_end=lambda: cleared.append(True))
        child = Child(command, ignore)
        child.start()
        await child.wait_until_ready(10)
        await child.stop(5, asyncio.Event())
        assert (child.phase, child.exit_code) == ("stopped", 0)
        assert cleared == [True]

    fakes.run(scenario())


def test_stop_of_a_child_that_is_about_to_end_sees_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        for _ in range(5):
            child = Child(fakes.command(tmp_path, fakes.CANNOT), ignore)
            child.start()
            with pytest.raises(EngineStartFailed):
                await child.wait_until_ready(10)
            # Its end falls between the first signal and the thread that waits for it.
            await child.stop(5, asyncio.Event())
            assert not child.is_alive

    fakes.run(scenario())


def test_parent_killed_leaves_no_child(tmp_path: Path) -> None:
    program = f"""
        import asyncio, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import supervisor_fakes as fakes
        from trident.supervisor.child import Child

        async def main():
            child = Child(fakes.command(Path({str(tmp_path)!r}), fakes.STUBBORN), lambda: None)
            child.start()
            await child.wait_until_ready(10)
            print(child.pid, flush=True)
            await child.wait()

        asyncio.run(main())
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not fakes.is_gone(pid)
        parent.kill()
    fakes.run(fakes.until(lambda: fakes.is_gone(pid)))


BEATS = """
def beat(**more): tell("beat", **more)
beat(); tell("ready")
"""


def test_child_that_stops_after_its_first_beat_is_not_ready_and_then_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, BEATS + "time.sleep(60)"), ignore)
        child.start()
        await child.wait_until_ready(10)
        assert child.pid is not None
        begun_s = time.monotonic()
        os.kill(child.pid, signal.SIGSTOP)
        await fakes.until(lambda: not child.is_ready)
        assert child.phase == "degraded: the engine host's process is stopped"
        assert not child.serves_stubs
        await child.wait()
        assert time.monotonic() - begun_s < 5
        assert child.phase == "killed: the engine host's process is stopped"

    fakes.run(scenario())


def test_child_that_goes_on_is_ready_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        body = BEATS + "\nwhile True:\n time.sleep(0.1); beat()"
        child = Child(fakes.command(tmp_path, body), ignore)
        child.start()
        await child.wait_until_ready(10)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)
        await fakes.until(lambda: not child.is_ready)
        os.kill(child.pid, signal.SIGCONT)
        await fakes.until(lambda: child.is_ready)
        assert child.phase == "ready"
        await child.stop(5, asyncio.Event())

    fakes.run(scenario())


class FakeMender:
    """Mends what it is told to."""

    def __init__(self, *, can_mend: bool, fails: bool = False) -> None:
        self._can_mend = can_mend
        self._fails = fails
        self.asked: list[tuple[int, Process]] = []
        self.done = asyncio.Event()

    def expects(self, part: Process) -> bool:
        return part.pid < 0

    async def mend(self, pid: int, dead: Process) -> bool:
        self.asked.append((pid, dead))
        await self.done.wait()
        if self._fails:
            raise RuntimeError("a mistake of ours")
        return self._can_mend


@pytest.mark.parametrize(("can_mend", "fails"), [(True, False), (False, False), (True, True)])
def test_child_whose_part_dies_is_mended_or_else_killed(tmp_path: Path, can_mend: bool, fails: bool) -> None:
    async def scenario() -> None:
        mender = FakeMender(can_mend=can_mend, fails=fails)
        find = partial(children_of, command="time.sleep(60)", name="stub")
        child = Child(fakes.command(tmp_path, GRANDCHILD + "signal.pause()", find_parts=find, mender=mender), ignore)
        child.start()
        await child.wait_until_ready(10)
        await fakes.until(lambda: "stub 1" in child.parts)
        os.kill(child.parts["stub 1"].pid, signal.SIGKILL)
        await fakes.until(lambda: not child.is_ready)
        assert child.phase.startswith("degraded: its stub 1 (pid ") and child.is_alive
        assert [pid for pid, _ in mender.asked] == [child.pid]
        mender.done.set()
        if can_mend and not fails:
            await fakes.until(lambda: child.is_ready)
            assert child.mended == 1
            await child.stop(5, asyncio.Event())
        else:
            await child.wait()
            assert child.phase.startswith("killed: its stub 1 (pid ")

    fakes.run(scenario())


def test_child_with_hung_requests_is_not_waited_for_when_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trident.supervisor.child.STOP_WITH_HUNG_REQUESTS_S", 0.2)

    async def scenario() -> None:
        mender = FakeMender(can_mend=True)  # it has not mended yet, and what hangs does so all the more
        find = partial(children_of, command="time.sleep(60)", name="stub")
        body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)" + GRANDCHILD + "while True: signal.pause()"
        child = Child(fakes.command(tmp_path, body, find_parts=find, mender=mender), ignore)
        child.start()
        await child.wait_until_ready(10)
        await fakes.until(lambda: "stub 1" in child.parts)
        os.kill(child.parts["stub 1"].pid, signal.SIGKILL)
        await fakes.until(lambda: mender.asked)
        await child.stop(60, asyncio.Event())
        assert child.phase == "killed: it had not stopped after 0.2 s"

    fakes.run(scenario())


def test_child_that_is_stuck_is_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(fakes.command(tmp_path, BEATS + "time.sleep(60)"), ignore)
        child.start()
        await child.wait_until_ready(10)
        begun_s = time.monotonic()
        await child.wait()
        assert 3 < time.monotonic() - begun_s < 6
        assert child.phase == "killed: the engine host answers nothing and does nothing"

    fakes.run(scenario())


def test_news_of_a_child_that_stops_do_not_hide_that_it_was_told_to(tmp_path: Path) -> None:
    body = """
    def end(*_):
        tell("phase", text="saying goodbye"); tell("unready", why="it ends"); sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    tell("ready")
    while True: signal.pause()
    """

    async def scenario() -> None:
        phases: list[str] = []
        child = Child(fakes.command(tmp_path, textwrap.dedent(body)), lambda: phases.append(child.phase))
        child.start()
        await child.wait_until_ready(10)
        await child.stop(5, asyncio.Event())
        assert set(phases) == {"starting", "ready", "stopping", "stopped"}

    fakes.run(scenario())


def test_child_that_the_system_refuses_to_start_leaves_no_descriptor(tmp_path: Path) -> None:
    async def scenario() -> None:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - there is no other way
        child = Child(replace(fakes.command(tmp_path, fakes.SERVES), log_path=tmp_path / "nowhere" / "log"), ignore)
        with pytest.raises(EngineStartFailed, match="could not be started"):
            child.start()
        await child.wait()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        assert not child.is_alive

    fakes.run(scenario())


def test_child_and_what_it_starts_run_on_the_cpus_of_its_command(tmp_path: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    asks = "import os; print('on', sorted(os.sched_getaffinity(0)))"
    body = f"import os, subprocess, sys\nsubprocess.run([sys.executable, '-S', '-c', {asks!r}])\n"

    async def scenario() -> None:
        child = Child(replace(fakes.command(tmp_path, body + fakes.SERVES), cpus=(cpu,)), ignore)
        child.start()
        await child.wait_until_ready(10)
        await child.stop(5, asyncio.Event())
        assert f"on [{cpu}]" in child.command.log_path.read_text()

    fakes.run(scenario())


def test_child_runs_anywhere_with_a_warning_where_its_cpus_are_not_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        child = Child(replace(fakes.command(tmp_path, fakes.SERVES), cpus=(1023,)), ignore)
        child.start()
        await child.wait_until_ready(10)
        await child.stop(5, asyncio.Event())
        assert "may run on any CPU" in child.command.log_path.read_text()

    fakes.run(scenario())
