"""Which CPUs a process may use, which of them share a core, how busy they are, and what a process does on them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from speed_servers import Started

SPIN_S = 0.06
SLOWED = 0.8
"""Of its own pace: a CPU below it beside another shares a core with it."""
PROFILED_S, PROFILES_PER_S = 5, 250


@contextlib.contextmanager
def on(cpus: Collection[int]) -> Iterator[None]:
    """What this thread starts meanwhile stays on these; none: on all."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cores() -> list[list[int]]:
    """The CPUs of each core, as the kernel knows them; one each where a virtual machine hides what they share."""
    found = {}
    for cpu in range(os.cpu_count() or 1):
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        told = path.read_text().strip() if path.exists() else str(cpu)
        found[told] = [*found.get(told, []), cpu]
    return list(found.values())


def slowed_by() -> dict[int, float]:
    """How fast CPU 0 is beside each other one, against itself beside an idle one: what the kernel does not know."""
    alone = max(_paces([0]) + _paces([0]))
    found = {cpu: _paces([0, cpu])[0] / alone for cpu in range(1, os.cpu_count() or 1)}
    again = [cpu for cpu, pace in found.items() if pace < SLOWED]  # it may have been somebody else's work
    return {cpu: round(max(pace, _paces([0, cpu])[0] / alone if cpu in again else 0), 2) for cpu, pace in found.items()}


def true_cores() -> tuple[list[list[int]], dict[int, float]]:
    """``cores``, or by what was found beside CPU 0 when the kernel says that none share one."""
    known, paces = cores(), slowed_by()
    count = len(known)
    partner = min(paces, key=paces.__getitem__, default=0)
    if any(len(core) > 1 for core in known) or not partner or paces[partner] > SLOWED:
        return known, paces
    if partner == 1:
        return [[cpu, cpu + 1] for cpu in range(0, count - 1, 2)], paces
    if partner == count // 2:
        return [[cpu, cpu + partner] for cpu in range(partner)], paces
    return known, paces


def _paces(cpus: list[int]) -> list[float]:
    """Rounds a second of the same work on all these CPUs at once."""
    fork = multiprocessing.get_context("fork")
    begin_s, spinning = time.perf_counter() + 0.02, []
    for cpu in cpus:
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=_spin, args=(cpu, begin_s, sender), daemon=True)
        process.start()
        spinning.append((process, receiver))
    found = [receiver.recv() for _, receiver in spinning]
    for process, _ in spinning:
        process.join()
    return found


def _spin(cpu: int, begin_s: float, sender: Connection) -> None:
    os.sched_setaffinity(0, {cpu})
    while time.perf_counter() < begin_s:
        pass
    rounds = 0
    while time.perf_counter() < begin_s + SPIN_S:
        rounds += 1
    sender.send(rounds / SPIN_S)


def place(server: Started, known: list[list[int]], own_cores: int, who: str, *, is_split: bool) -> str:
    """Gives ``who`` the first cores for itself and the rest to all others, this program too; none takes it back.

    With ``is_split`` its first thread has the first core for itself. Says what was done.
    """
    everything = {cpu for core in known for cpu in core}
    own = {cpu for core in known[: min(own_cores, len(known) // 2)] for cpu in core}
    named = {**server.named(), "clients": [psutil.Process()]}
    for name, processes in named.items():
        for process in processes:
            for thread in process.threads():
                cpus = everything - own
                if name == who and own:
                    first = set(known[0])
                    cpus = own if not is_split else (first if thread.id == process.pid else (own - first) or own)
                try:
                    os.sched_setaffinity(thread.id, cpus)
                except ProcessLookupError:
                    continue
    threads = [len(process.threads()) for process in named.get(who, [])]
    return f"{who} ({threads} threads) on {sorted(own) or 'all'} CPUs, others on {len(everything - own)}"


def set_niceness(server: Started, who: str, niceness: int) -> str:
    """Of every thread."""
    for process in server.named().get(who, []):
        for thread in process.threads():
            os.setpriority(os.PRIO_PROCESS, thread.id, niceness)
    return f"{who} at niceness {niceness}"


class Machine:
    """CPU seconds of the whole machine since it was made; ``stolen`` ones its host gave to somebody else."""

    def __init__(self) -> None:
        self._begun_s, self._before = time.monotonic(), psutil.cpu_times()

    def said(self) -> dict[str, float]:
        """Cores on average."""
        now, passed_s = psutil.cpu_times(), time.monotonic() - self._begun_s
        spent = {
            name: getattr(now, name) - getattr(self._before, name) for name in ("user", "system", "softirq", "steal")
        }
        return {name: round(value / passed_s, 2) for name, value in spent.items()}


class Threads:
    """CPU seconds of each thread of a process since it was made, and how often it slept and was pushed aside."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._before = process, _threads(process)

    def said(self) -> dict[str, list[float]]:
        """User and system seconds and both kinds of switches; idle threads are left out."""
        found = {}
        for name, now in _threads(self._process).items():
            spent = [round(value - was, 3) for value, was in zip(now, self._before.get(name, [0.0] * 4), strict=True)]
            if spent[0] + spent[1] > 0.05:
                found[name] = spent
        return found


def _threads(process: psutil.Process) -> dict[str, list[float]]:
    found = {}
    for thread in process.threads():
        folder = Path(f"/proc/{process.pid}/task/{thread.id}")
        try:
            lines = (folder / "status").read_text().splitlines()
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        switches = [float(line.split()[1]) for line in lines if "ctxt_switches" in line]
        found[f"{name} {thread.id - process.pid:+d}"] = [thread.user_time, thread.system_time, *switches]
    return found


class Profiler:
    """py-spy beside one process, where it is installed; without stopping it."""

    def __init__(self, process: psutil.Process, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        command = [_py_spy(), "record", "--nonblocking", "--threads", "--format", "raw", "--output", str(path)]
        command += ["--duration", str(PROFILED_S), "--rate", str(PROFILES_PER_S), "--pid", str(process.pid)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def end(self) -> str:
        """Its last words."""
        said: Any = self._process.communicate(timeout=PROFILED_S + 10)[0]
        return str(said.decode(errors="replace").strip().splitlines()[-1:])


def _py_spy() -> str:
    for folder in (*sys.path, *os.get_exec_path()):
        for path in (Path(folder) / "bin" / "py-spy", Path(folder) / "py-spy"):
            if os.access(path, os.X_OK):
                return str(path)
    raise FileNotFoundError("py-spy")
