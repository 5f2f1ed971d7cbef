"""Signals become calls in the event loop: the handler itself does nothing that could interrupt other code half-way."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def taken(on_signal: Callable[[str], None]) -> Iterator[None]:
    """Within the block ``on_signal`` gets the name of each signal that asks for an end."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]  # nohup; SIGINT is taken even so, as a shell's `&` ignores it for no such reason
    for number in before:
        loop.add_signal_handler(number, on_signal, number.name)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
