"""Says how much of a download has arrived, from what lies on the disk: the same for every hub and library version."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 1.0
STEP_PERCENT = 10
BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own is


def stored_bytes(folder: Path) -> int:
    """Bytes on the disk under ``folder``; links are not followed, reserved but unwritten parts do not count."""
    total = 0
    for file in folder.rglob("*"):
        try:
            status = file.lstat()
        except FileNotFoundError:  # a library renames its partial files while we look
            continue
        total += min(status.st_size, status.st_blocks * BLOCK_BYTES)
    return total


@contextmanager
def watched(folder: Path, total_bytes: int, report: Callable[[str], None]) -> Iterator[None]:
    """Reports each further tenth of ``total_bytes`` that arrives under ``folder`` while the block runs."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(folder, total_bytes, report, done), name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(folder: Path, total_bytes: int, report: Callable[[str], None], done: threading.Event) -> None:
    said_percent = 0
    while not done.wait(POLL_S):
        percent = min(99, 100 * stored_bytes(folder) // max(1, total_bytes))
        if percent >= said_percent + STEP_PERCENT:
            said_percent = percent - percent % STEP_PERCENT
            report(f"{percent} % of {size_text(total_bytes)}")


def size_text(size_bytes: int) -> str:
    """A size as people write it: ``812 kB``, ``1.5 GB``."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def without_bars() -> None:
    """Keeps the hubs' libraries from drawing their bars over our lines. tqdm reads this variable when imported."""
    before = os.environ.get("TQDM_DISABLE")
    os.environ["TQDM_DISABLE"] = "1"
    try:
        importlib.import_module("tqdm.std")
    finally:
        if before is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = before


@contextmanager
def warnings_reported(logger_name: str, report: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, a library's warnings go to ``report``, one line each, instead of to the terminal."""
    logger = logging.getLogger(logger_name)
    handlers, propagate, level = logger.handlers[:], logger.propagate, logger.level
    logger.handlers, logger.propagate = [_Reporter(report)], False
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


class _Reporter(logging.Handler):
    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        self._report(" ".join(record.getMessage().split())[:300])
