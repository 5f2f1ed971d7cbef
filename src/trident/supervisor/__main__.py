"""A detached supervisor: ``python -m trident.supervisor RUN_DIR/launch.json``. Its words go to its log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from trident.errors import TridentError
from trident.supervisor import launch, open_files
from trident.supervisor.plan import RealPlanner
from trident.supervisor.server import Server
from trident.supervisor.state import ServerState


def main() -> int:
    """The exit code: 0 after a stop that was asked for, else the error's."""
    open_files.allow_many()
    try:
        config, model = launch.load(Path(sys.argv[1]))
        asyncio.run(Server(config, RealPlanner(config, model), _nobody_watches).run())
    except TridentError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _nobody_watches(_: ServerState) -> None:
    """Whoever wants to know reads ``state.json``."""


if __name__ == "__main__":
    sys.exit(main())
