"""How the Python OpenAI server learns that its engine is lost, even if its host was killed: a pipe that closes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
import time

from trident.engine.openai_door import Door

FLUSH_S = 1.0
"""The longest for telling all clients; then the server ends."""
SHORTEST_S = 0.2
"""Who connects in this time still finds a server that answers, while the supervisor's stand-in opens."""
LAST_ANSWERS_S = 0.1
"""For who has connected just before the server stopped to listen: a large process takes long to end, and who connects
meanwhile is reset."""

_PR_SET_PDEATHSIG = 1


class Lifeline:
    """Made by the host before it forks the server; whoever has forked calls ``hold``, the other one ``follow``."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._is_held = True

    def hold(self) -> None:
        """In the host."""
        os.close(self._read)

    def let_go(self) -> None:
        """In the host: the engine is lost. The server tells its clients and ends."""
        if self._is_held:
            self._is_held = False
            os.close(self._write)

    def follow(self, door: Door, listener: socket.socket) -> None:
        """In the server, which listens at ``listener``: it lives as long as somebody holds the other end, and for
        little more than ``FLUSH_S``."""
        os.close(self._write)
        # Else a killed host would take it along before it could say a word: by the signal that every fork of the host
        # asks for, and by that to the host's group.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)
        os.setsid()
        threading.Thread(target=self._watch, args=(door, listener), name="Lifeline", daemon=True).start()

    def _watch(self, door: Door, listener: socket.socket) -> None:
        # A thread, so that a server which is stuck ends as well.
        os.read(self._read, 1)
        begun_s = time.monotonic()
        with contextlib.suppress(RuntimeError):  # its loop is closed already
            door.lose()
            door.is_empty.wait(FLUSH_S)
        time.sleep(max(0.0, begun_s + SHORTEST_S - time.monotonic()))
        with contextlib.suppress(OSError):  # it does not listen yet
            listener.shutdown(socket.SHUT_RD)
            time.sleep(LAST_ANSWERS_S)
        os._exit(1)
