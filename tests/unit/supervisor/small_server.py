"""A server with a child of a few lines: ``python small_server.py stubborn|serves``. Ports from the environment."""

from __future__ import annotations

import asyncio
import sys

import supervisor_fakes as fakes

from trident.config import load
from trident.supervisor.server import Server

if __name__ == "__main__":
    body = {"stubborn": fakes.STUBBORN, "serves": fakes.SERVES}[sys.argv[1]]
    config = load()
    planner = fakes.FakePlanner(lambda logs: [fakes.command(logs, body)])
    asyncio.run(Server(config, planner, lambda _: None).run())
