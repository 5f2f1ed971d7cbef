"""The supervisor's own log, ``RUN_DIR/logs/supervisor.log``."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

NAME = "supervisor.log"


@contextlib.contextmanager
def writing(logs: Path) -> Iterator[None]:
    """Within the block everything that the package logs goes into the file."""
    handler = logging.FileHandler(logs / NAME, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("trident")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
