"""Children of a few lines: real processes that speak the status pipe, serve HTTP, ignore signals, die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from trident.config.models import Config
from trident.models.resolve import ResolvedModel
from trident.supervisor.child import Child
from trident.supervisor.command import Command
from trident.supervisor.exchange import Exchange
from trident.supervisor.plan import Plan
from trident.supervisor.reach import http_status
from trident.supervisor.reload import Engine
from trident.supervisor.stand_in import StandIn

PREAMBLE = """
import json, os, signal, subprocess, sys, time
def tell(kind, **fields):
    os.write(int(os.environ["TRIDENT_STATUS_FD"]), json.dumps({"type": kind, **fields}).encode() + b"\\n")
"""

SERVES = 'tell("phase", text="thinking"); tell("ready", facts={"doors": 1}); signal.pause()'
CANNOT = 'tell("failed", what="No such model", why="it is gone", next_step="bring it back"); sys.exit(3)'
STUBBORN = 'signal.signal(signal.SIGTERM, signal.SIG_IGN); tell("ready"); time.sleep(60); time.sleep(60)'
SILENT = "signal.pause()"
HOST = """
def idle(*_): tell("drained")
def busy(*_): pass
is_busy = any("busy" in word for word in sys.argv)
signal.signal(signal.SIGUSR1, busy if is_busy else idle)
signal.signal(signal.SIGWINCH, busy if is_busy else idle)
signal.signal(signal.SIGUSR2, idle)
tell("ready", facts={"arguments": sys.argv[1:]})
while True: signal.pause()
"""
"""An engine host; a busy one has something in flight until it is told to end it."""

HTTP = """
import http.server
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Door).serve_forever()
"""


def command(folder: Path, body: str, name: str = "engine host", *arguments: str, **more: Any) -> Command:
    """A child that runs ``body``."""
    return Command(
        name=name,
        argv=[sys.executable, "-S", "-c", PREAMBLE + body, *arguments],
        env={"PATH": os.environ["PATH"]},
        log_path=folder / f"{name.split()[0]}.log",
        **more,
    )


def http_command(folder: Path, port: int, name: str = "tritonserver") -> Command:
    """A child that has no status pipe and is ready when it answers."""

    async def is_answering() -> bool:
        return await http_status("127.0.0.1", port, "/v2/health/ready") == 200

    return command(folder, HTTP, name, str(port), is_answering=is_answering)


class FakePlanner:
    """Plans these children whatever the configuration says. With an ``exchange`` the first of them is the engine of
    ``engine``, can be reloaded, and has that ``stand_in``."""

    def __init__(
        self,
        make: Callable[[Path], list[Command]],
        exchange: Exchange | None = None,
        engine: Engine | None = None,
        stand_in: StandIn | None = None,
    ) -> None:
        self.shm_prefix: str | None = None
        self._make = make
        self._exchange = exchange
        self._engine = engine
        self._stand_ins = {"engine host": stand_in} if stand_in else {}

    def __call__(self, logs: Path) -> Plan:
        return Plan(
            self._make(logs),
            model={"name": "fake"},
            exchange=self._exchange,
            engine=self._engine,
            stand_ins=self._stand_ins,
        )


class FakeExchange:
    """Engines of a few lines: ``{"fails": true}`` among an engine's arguments makes one that cannot start. ``lacks``
    is why two cannot run at once; ``redirects`` are the names of the engines that Triton went over to."""

    def __init__(self, lacks: str | None = None) -> None:
        self.lacks = lacks
        self.redirects: list[str] = []

    def command(self, config: Config, _model: ResolvedModel, log_path: Path) -> Command:
        words = [f"{name}={value}" for name, value in config.engine.items()]
        return host(log_path.parent, *words, fails=bool(config.engine.get("fails")))

    def lacking(self, _old: Child, _before: Config, _after: Config, _growth_bytes: int) -> str | None:
        return self.lacks

    async def redirect(self, _server: Config, engine: Config) -> None:
        self.redirects.append(engine.name)


def host(folder: Path, *arguments: str, fails: bool = False) -> Command:
    """An engine host that takes orders."""
    return command(folder, CANNOT if fails else HOST, "engine host", *arguments, takes_orders=True)


def run(scenario: Coroutine[Any, Any, None], limit_s: float = 15.0) -> None:
    """Every wait has a deadline, this one too."""
    asyncio.run(asyncio.wait_for(scenario, limit_s))


async def until(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    """Fails when the condition does not come true in time."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.01)


def free_port() -> int:
    """A port that nobody has now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ones: a port that is free again may be offered again."""
    with contextlib.ExitStack() as probes:
        found = []
        for _ in range(count):
            probe = probes.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
        return found


def is_gone(pid: int) -> bool:
    """No process, or only its zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
