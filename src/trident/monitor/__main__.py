"""``python -m trident.monitor --run-dir DIR --host HOST --port PORT``: watches the server of that run directory.

A child of the supervisor, or of ``trident monitor up`` beside a server that runs; says on the status pipe when it is
ready. It must stay small: nothing large is imported here.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import ssl
import sys
from pathlib import Path

from trident.gateway import tls
from trident.gateway.request import Request
from trident.monitor import scrape_token
from trident.monitor.access import Access
from trident.monitor.app import App
from trident.monitor.exporter import Exporter
from trident.monitor.http_server import HttpServer
from trident.monitor.sampler import Sampler
from trident.protocol import status
from trident.supervisor.run_directory import config_of

CANNOT_START = 3


def main() -> int:
    """The exit code: 0 told to stop, 3 cannot start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(asctime)s %(name)s: %(message)s")
    told = _arguments()
    try:
        config = config_of(told.run_dir)
        host = told.host or config.monitor_host
        access = Access(config, host)
        security = config.security
        context = None
        if security.tls_cert is not None and security.tls_key is not None:
            context = tls.context(str(security.tls_cert), str(security.tls_key), is_http2=False)
        exporter = Exporter.of(told.run_dir)
    except (OSError, ValueError) as error:
        return _failed("The monitor cannot start", str(error), f"is a server running with {told.run_dir}?")
    sampler = Sampler.of(told.run_dir, config)

    def may_scrape(request: Request) -> bool:
        given = (request.values(b"authorization") or [b""])[0].partition(b" ")
        return given[0].lower() == b"bearer" and scrape_token.accepts(told.run_dir, given[2])

    app = App(config, sampler, access, exporter.collect, may_scrape)
    try:
        asyncio.run(_serve(app, sampler, host, told.port, context))
    except OSError as error:
        reason = error.strerror or str(error)
        return _failed(f"Cannot serve the monitor on port {told.port}", reason, "choose another: --monitor-port N")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trident.monitor", description="Watches a server.")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--host", default="")
    parser.add_argument("--port", type=int, default=8003)
    return parser.parse_args()


def _failed(what: str, why: str, next_step: str) -> int:
    logging.getLogger(__name__).error("%s: %s", what, why)
    status.report(status.Failed(what, why, next_step))
    return CANNOT_START


async def _serve(app: App, sampler: Sampler, host: str, port: int, context: ssl.SSLContext | None) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await HttpServer(app.handle).listen(host, port, context)
    reading = asyncio.ensure_future(sampler.run())
    gc.freeze()  # what is here now stays: looking through it again and again would cost more than the work
    status.report(status.Ready())
    await asyncio.wait({reading, asyncio.ensure_future(stopped.wait())}, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    reading.cancel()


if __name__ == "__main__":
    sys.exit(main())
