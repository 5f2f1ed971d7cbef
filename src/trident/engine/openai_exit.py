"""The way out of vLLM's Python OpenAI server: what its engine host tells it, and what the host sees of it.

The two sides share what was there before the fork: two counters in shared memory and a pipe for orders. The server's
door (``openai_door``) obeys them.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
from collections.abc import Callable

REFUSE, HAND_OVER, EXPEL = b"r", b"h", b"x"
RETRY_AFTER_S = 2
_COUNT = struct.Struct("q")
_IN_FLIGHT, _OBEYED = 0, _COUNT.size

REFUSED = "the server takes no new requests now: it stops, or its engine is being exchanged; try again soon"
EXPELLED = "the server stops, or its engine is being exchanged, and this was not finished in time; send it again"


class Exit:
    """Made by the engine host before it forks the server, and kept by both."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._read_fd, self._write_fd = os.pipe()
        self._told = 0

    @property
    def in_flight(self) -> int:
        """POST requests that the server has taken and not answered to the end, those that wait among them."""
        return self._read(_IN_FLIGHT)

    @property
    def is_obeyed(self) -> bool:
        """The host's side: the server has done all that it was told. Before, what it counts may grow."""
        return self._read(_OBEYED) >= self._told

    def count(self, change: int) -> None:
        """The server's side; its only thread that counts is the loop's."""
        _COUNT.pack_into(self._memory, _IN_FLIGHT, self.in_flight + change)

    def tell(self, order: bytes) -> None:
        """The host's side."""
        self._told += 1
        os.write(self._write_fd, order)

    def attend(self, on_order: Callable[[bytes], None]) -> None:
        """The server's side: ``on_order`` gets each order in the running loop."""
        os.set_blocking(self._read_fd, False)

        def read() -> None:
            for order in os.read(self._read_fd, 64):
                on_order(bytes([order]))
                _COUNT.pack_into(self._memory, _OBEYED, self._read(_OBEYED) + 1)

        asyncio.get_running_loop().add_reader(self._read_fd, read)

    def _read(self, at: int) -> int:
        return int(_COUNT.unpack_from(self._memory, at)[0])
