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

from trident.supervisor.child import Command
from trident.supervisor.plan import Plan
from trident.supervisor.reach import http_status

PREAMBLE = """
import json, os, signal, subprocess, sys, time
def tell(kind, **fields):
    os.write(int(os.environ["TRIDENT_STATUS_FD"]), json.dumps({"type": kind, **fields}).encode() + b"\\n")
"""

SERVES = 'tell("phase", text="thinking"); tell("ready", facts={"doors": 1}); signal.pause()'
CANNOT = 'tell("failed", what="No such model", why="it is gone", next_step="bring it back"); sys.exit(3)'
STUBBORN = 'signal.signal(signal.SIGTERM, signal.SIG_IGN); tell("ready"); time.sleep(60); time.sleep(60)'
SILENT = "signal.pause()"

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
    """Plans these children whatever the configuration says."""

    def __init__(self, make: Callable[[Path], list[Command]]) -> None:
        self.shm_prefix: str | None = None
        self._make = make

    def __call__(self, logs: Path) -> Plan:
        return Plan(self._make(logs), model={"name": "fake"})


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
