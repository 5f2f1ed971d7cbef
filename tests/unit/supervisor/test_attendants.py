from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.config.models import Supervision
from trident.supervisor import restarts
from trident.supervisor.attendants import Attendants
from trident.supervisor.command import Command
from trident.supervisor.state import ChildState

NEVER_READY = 'tell("phase", text="thinking"); time.sleep(60)'


def attendants(*commands: Command, **supervision: float) -> Attendants:
    return Attendants(commands, Supervision.model_validate({"stop_timeout_s": 5, **supervision}), lambda: None)


def only(of: Attendants) -> ChildState:
    (state,) = of.states
    return state


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "FIRST_DELAY_S", 0.05)


def test_attendant_that_dies_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        watching = attendants(fakes.command(tmp_path, fakes.SERVES, "monitor"))
        watching.start()
        await fakes.until(lambda: only(watching).is_ready)
        first = only(watching).process
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        await fakes.until(lambda: only(watching).is_ready and only(watching).process != first)
        assert only(watching).restarts == 1
        assert "died" in only(watching).last_death
        await watching.stop(asyncio.Event())
        assert only(watching).phase == "stopped"

    fakes.run(scenario())


def test_attendant_that_cannot_start_is_given_up_and_nobody_else(tmp_path: Path) -> None:
    async def scenario() -> None:
        watching = attendants(
            fakes.command(tmp_path, fakes.CANNOT, "prometheus"), fakes.command(tmp_path, fakes.SERVES, "monitor")
        )
        watching.start()
        await fakes.until(lambda: watching.states[0].phase.startswith("failed") and watching.states[1].is_ready)
        await asyncio.sleep(0.3)
        assert watching.states[0].restarts == 0
        await watching.stop(asyncio.Event())

    fakes.run(scenario())


def test_attendant_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        watching = attendants(fakes.command(tmp_path, "sys.exit(1)", "prometheus"), max_restarts=2)
        watching.start()
        await fakes.until(lambda: only(watching).restarts == 2 and only(watching).process is None)
        await asyncio.sleep(0.5)
        assert only(watching).restarts == 2
        assert only(watching).next_start is None
        await watching.stop(asyncio.Event())

    fakes.run(scenario())


def test_attendant_that_is_not_ready_in_time_is_stopped_and_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        watching = attendants(fakes.command(tmp_path, NEVER_READY, "prometheus"), start_timeout_s=0.2, max_restarts=1)
        watching.start()
        await fakes.until(lambda: only(watching).restarts == 1 and only(watching).process is None)
        await watching.stop(asyncio.Event())

    fakes.run(scenario())
