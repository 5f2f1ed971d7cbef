"""The monitor's exporter behind a port, and nothing else of the monitor."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from trident.monitor.exporter import Exporter

COLLECT_S = 10


@contextmanager
def serving(run_dir: Path) -> Iterator[int]:
    """The port at which the page of the server with this run directory is."""
    loop = asyncio.new_event_loop()
    collector = threading.Thread(target=loop.run_forever, daemon=True)
    collector.start()
    exporter = Exporter.of(run_dir)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = asyncio.run_coroutine_threadsafe(exporter.collect(), loop).result(COLLECT_S)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answering = threading.Thread(target=server.serve_forever, daemon=True)
    answering.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        answering.join(10)
        loop.call_soon_threadsafe(loop.stop)
        collector.join(10)
        loop.close()
