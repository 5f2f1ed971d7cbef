"""The lottery of ``chaos.py``: which process of a running Trident is killed or stopped, and when all is well again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass
from typing import Any

import psutil
from servers import Server

from trident.supervisor.processes import Process, identify

LOOK_S = 0.02
NOTICED_WITHIN_S = 60.0
READY_WITHIN_S = 180.0
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGSTOP": signal.SIGSTOP}


@dataclass(frozen=True)
class Victim:
    """A process of the server. ``child`` is the name of the supervisor's child that it is or belongs to, ``shown`` the
    process of ``state.json`` that goes with it, ``model`` the Triton model whose requests it holds, where that is one,
    and ``parent_pid`` the tritonserver of a stub.
    """

    name: str
    child: str
    process: Process
    shown: Process
    model: str | None = None
    parent_pid: int = 0


@dataclass
class Kill:
    """One draw. Times are seconds after it; None where it did not happen within the time allowed. ``aborted_triton``:
    the stub was killed while it held a lock in shared memory, of which tritonserver 2.51 dies."""

    victim: Victim
    signal: str
    at_s: float
    noticed_s: float | None = None
    ready_s: float | None = None
    aborted_triton: bool = False

    @property
    def kind(self) -> str:
        return f"{self.signal} {self.victim.name}{' and Triton' if self.aborted_triton else ''}"

    @property
    def model(self) -> str | None:
        """Whose requests end with it; None: all of Triton's."""
        return None if self.aborted_triton else self.victim.model

    @property
    def takes_requests_along(self) -> bool:
        """Its own requests end with it; those of an engine must not."""
        return self.victim.child == "tritonserver"


class Lottery:
    """``what`` is "engine" (EngineCore, its workers, the engine host) or "all" (stubs and tritonserver too)."""

    def __init__(self, server: Server, what: str, seed: int) -> None:
        self._server = server
        self._what = what
        self._rng = random.Random(seed)

    async def draw(self) -> Kill:
        """Sends one signal to one process, at once."""
        # A kind is drawn first, or the stubs, which are many, would be drawn more often than the engine.
        kinds: dict[str, list[Victim]] = {}
        for victim in victims_of(self._server.state()):
            if self._what == "all" or victim.child == "engine host":
                kinds.setdefault("stub" if victim.model else victim.name.rstrip(" 0123456789"), []).append(victim)
        chosen = kinds[self._rng.choice(sorted(kinds))]
        kill = Kill(self._rng.choice(chosen), self._rng.choice(sorted(SIGNALS)), time.perf_counter())
        os.kill(kill.victim.process.pid, SIGNALS[kill.signal])
        return kill

    async def heal(self, kill: Kill) -> None:
        """Waits until the supervisor has noticed and all is ready again, and writes both times down. A process that
        nobody notices is stopped is woken up, so that the run goes on."""
        kill.noticed_s = await self._until(lambda state: _is_noticed(state, kill.victim), kill.at_s, NOTICED_WITHIN_S)
        if kill.noticed_s is None:
            self.wake(kill)
        kill.ready_s = await self._until(lambda state: _is_ready(state, kill.victim), kill.at_s, READY_WITHIN_S)
        if kill.victim.model is not None and kill.victim.parent_pid:
            kill.aborted_triton = self._has_aborted(kill.victim.parent_pid)

    def _has_aborted(self, triton_pid: int) -> bool:
        assert self._server.state_dir is not None
        log = self._server.state_dir / "run" / "default" / "logs" / "supervisor.log"
        return f"tritonserver ended, pid {triton_pid}: killed by SIGABRT" in log.read_text()

    def wake(self, kill: Kill) -> None:
        """Lets the victim run on, where it is still there."""
        if kill.victim.process.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(kill.victim.process.pid, signal.SIGCONT)

    async def _until(self, is_so: Any, since_s: float, within_s: float) -> float | None:
        while time.perf_counter() - since_s < within_s:
            if is_so(self._server.state()):
                return time.perf_counter() - since_s
            await asyncio.sleep(LOOK_S)
        return None


def victims_of(state: dict[str, Any]) -> list[Victim]:
    """All processes that may be drawn, of a server that is ready."""
    victims = []
    for child in state["children"]:
        if child["name"] not in ("engine host", "tritonserver"):
            continue
        shown = Process(**child["process"])
        victims.append(Victim(child["name"], child["name"], shown, shown))
        for name, process in child["parts"].items():
            shown = Process(**process)
            if name.startswith("stub"):
                victims += _stub(child["name"], shown, child["process"]["pid"])
            elif name != "openai server":  # its streams do not come through Triton
                victims.append(Victim(name, child["name"], shown, shown))
                victims += _workers(child["name"], shown)
    return victims


def _stub(child: str, shown: Process, triton_pid: int) -> list[Victim]:
    with contextlib.suppress(psutil.Error, IndexError):
        # …/triton_python_backend_stub …/repository/MODEL/1/model.py …
        model = psutil.Process(shown.pid).cmdline()[1].split("/")[-3]
        return [Victim(f"stub {model}", child, shown, shown, model, triton_pid)]
    return []


def _workers(child: str, engine_core: Process) -> list[Victim]:
    """Those of tensor parallelism, which are EngineCore's own."""
    with contextlib.suppress(psutil.Error):
        below = [one for one in psutil.Process(engine_core.pid).children() if "Worker" in " ".join(one.cmdline())]
        known = [identify(one.pid) for one in below]
        return [Victim("worker", child, process, engine_core) for process in known if process]
    return []


def _is_noticed(state: dict[str, Any], victim: Victim) -> bool:
    child = next(child for child in state["children"] if child["name"] == victim.child)
    return state["phase"] != "ready" or not child["is_ready"] or not _is_listed(child, victim)


def _is_ready(state: dict[str, Any], victim: Victim) -> bool:
    child = next(child for child in state["children"] if child["name"] == victim.child)
    is_settled = not _is_listed(child, victim) or victim.process.is_running()
    return state["phase"] == "ready" and all(child["is_ready"] for child in state["children"]) and is_settled


def _is_listed(child: dict[str, Any], victim: Victim) -> bool:
    listed = [process for process in (child["process"], *child["parts"].values()) if process]
    return any(Process(**process) == victim.shown for process in listed)
