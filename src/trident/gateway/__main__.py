"""``python -m trident.gateway SPEC``: opens the doors and serves until it is killed."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys
from pathlib import Path

import uvloop

from trident.gateway.door import Door, Places
from trident.gateway.keys import Keys
from trident.gateway.spec import GatewaySpec
from trident.protocol import status
from trident.protocol.spec import load

CANNOT_START = 3


def main() -> int:
    """The exit code: 0 told to stop, 3 cannot start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(asctime)s %(name)s: %(message)s")
    told = load(GatewaySpec, Path(sys.argv[1]).read_bytes())
    _allow_descriptors(told.max_connections)
    try:
        keys = Keys(told.keys, Path(told.key_file) if told.key_file else None)
        places = Places(told.max_connections)
        doors = [Door(spec, told, keys, places) for spec in told.doors]
    except (ValueError, OSError) as error:
        status.report(status.Failed("The gateway cannot start", str(error), "mend these files, or leave them out"))
        return CANNOT_START
    for door, spec in zip(doors, told.doors, strict=True):
        try:
            door.listen()
        except OSError as error:
            reason = error.strerror or str(error)
            choose = f"choose another: {spec.flag} N"
            status.report(status.Failed(f"Cannot serve {spec.name} on port {spec.port}", reason, choose))
            return CANNOT_START
    uvloop.run(_serve(doors))
    return 0


async def _serve(doors: list[Door]) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    serving = [asyncio.ensure_future(door.serve()) for door in doors]
    status.report(status.Ready())
    await stopped.wait()
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    await asyncio.gather(*(door.close() for door in doors))


def _allow_descriptors(connections: int) -> None:
    """Two for each connection, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + 100
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))


if __name__ == "__main__":
    sys.exit(main())
