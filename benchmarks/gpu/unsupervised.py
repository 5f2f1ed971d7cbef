"""One Trident server without its supervisor: the same commands, started and watched one by one."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from trident import engine_command
from trident.config.models import Config
from trident.models.resolve import ResolvedModel
from trident.protocol import status
from trident.runtime.control_env import TritonInstall
from trident.runtime.core_cpus import Shares
from trident.runtime.engine_env import EngineEnv
from trident.supervisor.run_directory import RunDirectory
from trident.triton import command as triton_command
from trident.triton import repository

HOST_READY_S, TRITON_READY_S = 240, 60
STUB = "triton_python_backend_stub"


class NotReady(Exception):
    """A child has said why it cannot start, has ended, or takes too long."""


@dataclass(frozen=True)
class Place:
    """What is served with what. ``engine_path`` is put on the engine's PYTHONPATH."""

    config: Config
    model: ResolvedModel
    engine: EngineEnv
    triton: TritonInstall
    engine_path: str
    logs: Path


class EngineHost:
    """The engine host's process and what it has said about itself, with the seconds since its start."""

    def __init__(self, place: Place, shares: Shares = engine_command.NO_SHARES) -> None:
        spec_path = place.config.run_dir / "engine-host.json"
        engine_command.spec(place.config, place.model, place.engine, shares).save(spec_path)
        env = engine_command.environment(place.config, place.engine)
        if place.engine_path:
            env["PYTHONPATH"] += os.pathsep + place.engine_path
        read, write = os.pipe()
        self.begun_s = time.monotonic()
        self.said: list[tuple[float, status.Status]] = []
        with (place.logs / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(
                engine_command.argv(place.engine, spec_path),
                env={**env, status.FD_VARIABLE: str(write)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[write],
                start_new_session=True,
            )
        os.close(write)
        threading.Thread(target=self._listen, args=(read,), daemon=True).start()

    def _listen(self, read: int) -> None:
        with open(read, "rb") as pipe:
            for line in pipe:
                if said := status.parse(line):
                    self.said.append((time.monotonic() - self.begun_s, said))

    def ready(self, timeout_s: float = HOST_READY_S) -> status.Ready:
        """Blocks until it is. Raises NotReady."""
        while time.monotonic() - self.begun_s < timeout_s:
            for _, said in self.said:
                if isinstance(said, status.Ready):
                    return said
                if isinstance(said, status.Failed):
                    raise NotReady(f"{said.what}: {said.why} ({said.next_step})")
            if self.process.poll() is not None:
                raise NotReady(f"the engine host has ended with {self.process.returncode}")
            time.sleep(0.05)
        raise NotReady(f"the engine host is not ready after {timeout_s} s")

    def phases(self) -> list[tuple[str, float]]:
        """How long each phase of the start took, in seconds."""
        begun = [*self.said, (self.said[-1][0], None)]
        return [("until its first word", begun[0][0])] + [
            (said.text, later[0] - at_s)
            for (at_s, said), later in itertools.pairwise(begun)
            if isinstance(said, status.Phase)
        ]


class Triton:
    """tritonserver with ``stubs`` processes for each contract."""

    def __init__(self, place: Place, stubs: int, response_share: float) -> None:
        settings = place.config.stubs.model_copy(update={"stubs": stubs, "response_share": response_share})
        config = place.config.model_copy(update={"stubs": settings})
        folder = repository.write(config, [engine_command.relay_address(config)], place.engine.build)
        self._health = f"http://127.0.0.1:{config.listen.http_port}/v2/health/ready"
        self.begun_s = time.monotonic()
        with (place.logs / "triton.log").open("ab") as log:
            self.process = subprocess.Popen(
                triton_command.argv(config, place.triton, folder, config.places.metrics),
                env=triton_command.environment(place.triton),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self, timeout_s: float = TRITON_READY_S) -> float:
        """Blocks until it is and returns the seconds since its start. Raises NotReady."""
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < timeout_s:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self._health, timeout=2).close()
                return time.monotonic() - self.begun_s
            if self.process.poll() is not None:
                raise NotReady(f"tritonserver has ended with {self.process.returncode}")
            time.sleep(0.05)
        raise NotReady(f"tritonserver is not ready after {timeout_s} s")


@dataclass
class Server:
    """Both children and the run directory around them."""

    place: Place
    directory: RunDirectory
    host: EngineHost
    triton: Triton
    facts: status.Ready

    def replace_triton(self, stubs: int, response_share: float) -> float:
        """The same engine behind another tritonserver; returns its seconds to ready."""
        end(self.triton.process)
        self.triton = Triton(self.place, stubs, response_share)
        return self.triton.ready()

    def replace_host(self) -> None:
        """A new engine behind the same tritonserver, in the place of one that has ended."""
        for path in self.place.config.sockets_dir.iterdir():
            if path.is_socket() and not path.name.startswith("stub"):
                path.unlink()  # what a killed host leaves there
        self.host = EngineHost(self.place)
        self.facts = self.host.ready()

    def parts(self) -> dict[str, psutil.Process]:
        """Every process by the name under which its CPU time is counted."""
        named = {"relay": psutil.Process(self.host.process.pid), "triton": psutil.Process(self.triton.process.pid)}
        named.update({name: psutil.Process(pid) for name, pid in self.facts.pids.items()})
        generate = self.place.config.contracts.generate_name
        for process in named["triton"].children(recursive=True):
            if process.name().startswith(STUB[:15]) and any(f"{generate}_" in part for part in process.cmdline()):
                named[f"stub {sum('stub' in name for name in named)}"] = process
        return named


def start(place: Place, directory: RunDirectory, stubs: int, response_share: float) -> Server:
    """Starts both children at once and waits for them. Raises NotReady, leaving none behind."""
    directory.acquire()
    host = EngineHost(place)
    triton = Triton(place, stubs, response_share)
    try:
        facts = host.ready()
        triton.ready()
    except NotReady:
        for process in (triton.process, host.process):
            process.kill()
            process.wait()
        raise
    return Server(place, directory, host, triton, facts)


def end(process: subprocess.Popen[Any], timeout_s: float = 30) -> float:
    """SIGTERM; returns how long it took. A process that does not end is killed, and the time is infinite."""
    begun_s = time.monotonic()
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return float("inf")
    return time.monotonic() - begun_s
