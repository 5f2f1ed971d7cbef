"""The servers that are compared. Each is started without waiting, says when its first token came, and names its
processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import psutil
import speed_doors
from speed_doors import Door
from unsupervised import Place

NAMES = (
    ("tritonserver", "tritonserver"),
    ("triton_python", "stubs"),
    ("VLLM::EngineCor", "engine core"),
    ("vllm-rs", "vllm-rs"),
)
"""How processes are called that say what they are."""
FATAL = ("EngineCore failed to start", "Engine core initialization failed")


class NotStarted(Exception):
    """A server has ended, has said why it cannot start, or takes too long."""


def caches(folder: Path) -> dict[str, str]:
    """Environment that keeps everything compiled in a folder, so that a cold start is cold."""
    return {
        "VLLM_CACHE_ROOT": str(folder / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
    }


class Started:
    """A started server: ``doors`` by name, and ``first_token_s`` since its command once there is one."""

    def __init__(self, name: str, place: Place, doors: list[Door]) -> None:
        self.name = name
        self.place = place
        self.doors = {door.name: door for door in doors}
        self.first_token_s: float | None = None
        self.begun_s = time.monotonic()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._ready = threading.Event()
        self._failure = ""

    def launch(self, command: list[str], env: dict[str, str], log: str | None = None) -> subprocess.Popen[bytes]:
        """One of its processes, a session of its own."""
        with (self.place.logs / f"{log or self.name}.log").open("ab") as file:
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        self.processes.append(process)
        return process

    def watch(self, door: Door | None) -> None:
        """From now on the first token is looked for, by ``door`` or by what ``is_up`` says."""
        threading.Thread(target=self._look, args=(door,), daemon=True).start()

    def _look(self, door: Door | None) -> None:
        while not self._ready.is_set() and not self._failure:
            if has_token(door) if door is not None else self.is_up():
                self.first_token_s = time.monotonic() - self.begun_s
                self._ready.set()
            elif any(process.poll() is not None for process in self.processes):
                self._failure = "it has ended"
            elif any(sign in self._log() for sign in FATAL):
                self._failure = "its engine failed to start"
            time.sleep(0.1)

    def is_up(self) -> bool:
        """For one without a door."""
        raise NotImplementedError

    def _log(self) -> str:
        path = self.place.logs / f"{self.name}.log"
        return path.read_text(errors="replace")[-20_000:] if path.exists() else ""

    def wait(self, timeout_s: float) -> None:
        """Until its first token. Raises NotStarted."""
        deadline_s = time.monotonic() + timeout_s
        while not self._ready.wait(0.2):
            if self._failure or time.monotonic() > deadline_s:
                raise NotStarted(f"{self.name}: {self._failure or 'not in time'}\n{self._log()[-1500:]}")

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    def named(self) -> dict[str, list[psutil.Process]]:
        """All its processes by what they do."""
        found: dict[str, list[psutil.Process]] = {}
        for root in self.processes:
            with contextlib.suppress(psutil.Error):
                top = psutil.Process(root.pid)
                for process in [top, *top.children(recursive=True)]:
                    found.setdefault(self._name(process, is_top=process.pid == root.pid), []).append(process)
        return found

    def _name(self, process: psutil.Process, *, is_top: bool) -> str:
        with contextlib.suppress(psutil.Error):
            told = process.name()
            for sign, name in NAMES:
                if told.startswith(sign):
                    return name
        return "server" if is_top else "others"

    def stop(self) -> None:
        """In order, else by force; nothing is left."""
        family = [process for processes in self.named().values() for process in processes]
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(family, timeout=6)
        for member in alive:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(alive, timeout=5)
        for process in self.processes:
            process.wait(5)


def has_token(door: Door) -> bool:
    """Whether one comes; False for any error."""
    url = f"http://127.0.0.1:{door.port}{door.path}"
    request = urllib.request.Request(url, door.body("what is one token", 1), {"Content-Type": "application/json"})
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=60) as answer:
        return b"data: {" in answer.read(1 << 16)
    return False


def vllm_serve(place: Place, port: int, engine: dict[str, Any], cache: Path, *, is_rust: bool) -> Started:
    """vLLM's own server, the Python one or the Rust one."""
    name = "vllm-serve-rust" if is_rust else "vllm-serve-python"
    door = speed_doors.openai("vllm serve, Rust" if is_rust else "vllm serve, Python", name, port, place.model.name)
    started = Started(name, place, [door])
    command = [str(place.engine.python), "-m"]
    # The console script refuses the name of the CPU build.
    command += ["vllm.entrypoints.launchers.api_server.entry", "--model"] if place.engine.build == "cpu" else SERVE
    command += [str(place.model.path), "--served-model-name", place.model.name, "--host", "127.0.0.1"]
    command += ["--port", str(port), *flags(engine)]
    env = {**environment(place), **caches(cache), "VLLM_USE_RUST_FRONTEND": "1" if is_rust else "0"}
    started.launch(command, env)
    started.watch(door)
    return started


SERVE = ["vllm.entrypoints.cli.main", "serve"]


def environment(place: Place) -> dict[str, str]:
    """vLLM's own, without anything of ours."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "PYTHONUNBUFFERED": "1"}
    env["PYTHONPATH"] = place.engine_path
    return env


def flags(engine: dict[str, Any]) -> list[str]:
    """Engine arguments as ``vllm serve`` takes them."""
    found: list[str] = []
    for name, value in engine.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            found.append(flag if value else f"--no-{flag[2:]}")
        else:
            found += [flag, value if isinstance(value, str) else json.dumps(value)]
    return found


class Alone(Started):
    """An engine alone, ``speed_offline.py``."""

    def __init__(self, name: str, place: Place, engine: dict[str, Any], cache: Path) -> None:
        super().__init__(name.replace(" ", "-"), place, [])
        self.socket = Path(tempfile.mkdtemp(prefix="alone-")) / "llm.sock"  # a socket's path must be short
        script = Path(__file__).with_name("speed_offline.py")
        command = [str(place.engine.python), str(script), str(self.socket), str(place.model.path), json.dumps(engine)]
        self.launch(command, {**environment(place), **caches(cache)})
        self.watch(None)

    def is_up(self) -> bool:
        """The engine is."""
        return self.socket.exists()

    def order(self, order: dict[str, Any]) -> Any:
        """Its answer; blocks."""
        with Client(str(self.socket), "AF_UNIX") as client:
            client.send(order)
            return client.recv()
