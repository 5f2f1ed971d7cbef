"""A process that has imported vLLM once and forks engine hosts, one after the other; ``trident tune`` has one, as it
starts a server for each trial.

    python -m trident.engine.nursery PID SOCKET

The supervisor's child is then a process of a few megabytes that stands for the host: it hands on signals, and ends as
the host does. The nursery ends with PID, a host with the nursery (by the kernel), and with the one that stands for it
(the nursery kills it).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import msgspec

from trident.protocol import status
from trident.protocol.nursery import Birth, Ended, Place

MOST_BYTES = 1 << 18
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
LISTENS_WITHIN_S = 20.0
POLL_S = 0.02


def borrow(place: Place, spec_path: Path) -> int | None:
    """Stands for a host until that one ends; returns its exit code, or None when no host can be had there."""
    link = _connected(place)
    if link is None:
        return None
    with link:
        handed = [1, 2]
        if status.FD_VARIABLE in os.environ:
            handed.append(int(os.environ[status.FD_VARIABLE]))
        birth = Birth(os.fspath(spec_path), dict(os.environ), os.fspath(Path.cwd()))
        try:
            for number in FORWARDED:
                signal.signal(number, lambda number, frame: _hand_on(link, number, frame))
            socket.send_fds(link, [msgspec.json.encode(birth)], handed)
            answer = link.recv(MOST_BYTES)
        except OSError:
            answer = b""
    if not answer:
        for number in FORWARDED:
            signal.signal(number, signal.SIG_DFL)
        return None
    return _end_like(msgspec.json.decode(answer, type=Ended).status)


def _hand_on(link: socket.socket, number: int, _: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        link.send(bytes([number]))


def _end_like(ended: int) -> int:
    if os.WIFSIGNALED(ended):
        number = os.WTERMSIG(ended)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.waitstatus_to_exitcode(ended)


def _connected(place: Place) -> socket.socket | None:
    """To the nursery that is there, or a new one."""
    nursery: subprocess.Popen[bytes] | None = None
    deadline_s = time.monotonic() + LISTENS_WITHIN_S
    while time.monotonic() < deadline_s:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            link.connect(os.fspath(place.socket))
            return link
        except OSError:
            link.close()
        if nursery is None:
            place.socket.unlink(missing_ok=True)
            # In a session of its own: the supervisor ends the group of its child with that one.
            command = [sys.executable, "-m", "trident.engine.nursery", str(place.owner_pid), os.fspath(place.socket)]
            nursery = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        elif nursery.poll() is not None:
            return None
        time.sleep(POLL_S)  # it is on the way to its first line
    return None


class Nursery:
    """``serve`` returns in every host, and in the nursery itself when its owner has ended."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._owner = os.pidfd_open(place.owner_pid)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(os.fspath(place.socket))
        self._listener.listen()
        self._selector = selectors.DefaultSelector()
        self._hosts: dict[socket.socket, int] = {}
        self._pidfds: dict[int, socket.socket] = {}

    def serve(self) -> Birth | None:
        """What a host is to be; None in the nursery."""
        self._selector.register(self._owner, selectors.EVENT_READ, "owner")
        self._selector.register(self._listener, selectors.EVENT_READ, "listener")
        while True:
            for key, _ in self._selector.select():
                if key.data == "owner":
                    self._close()
                    return None
                if key.data == "listener":
                    link, _ = self._listener.accept()
                    self._selector.register(link, selectors.EVENT_READ, "link")
                elif key.data == "host":
                    self._bury(key.fd)
                elif isinstance(key.fileobj, socket.socket) and key.fileobj.fileno() >= 0:
                    born = self._hear(key.fileobj)
                    if born is not None:
                        return born

    def _hear(self, link: socket.socket) -> Birth | None:
        pid = self._hosts.get(link)
        if pid is None:
            return self._bear(link)
        number = _received(link)
        if not number:
            self._selector.unregister(link)
        for send in (os.kill,) if number else (os.killpg, os.kill):  # it may not lead its group yet
            with contextlib.suppress(ProcessLookupError):
                send(pid, number[0] if number else signal.SIGKILL)
        return None

    def _bear(self, link: socket.socket) -> Birth | None:
        try:
            data, fds, _, _ = socket.recv_fds(link, MOST_BYTES, 3)
            birth = msgspec.json.decode(data, type=Birth)
        except (OSError, msgspec.MsgspecError):
            self._selector.unregister(link)
            link.close()
            return None
        pid = os.fork()
        if pid == 0:
            self._become(birth, fds, link)
            return birth
        for fd in fds:
            os.close(fd)
        self._hosts[link] = pid
        pidfd = os.pidfd_open(pid)
        self._pidfds[pidfd] = link
        self._selector.register(pidfd, selectors.EVENT_READ, "host")
        return None

    def _become(self, birth: Birth, fds: list[int], link: socket.socket) -> None:
        """In the host: what the process that stands for it has, and nothing of the nursery's."""
        os.setsid()
        self._selector.close()
        self._listener.close()
        os.close(self._owner)
        for fd in self._pidfds:
            os.close(fd)
        for other in {link, *self._hosts}:
            other.close()
        os.chdir(birth.folder)
        os.environ.clear()
        os.environ.update(birth.environ)
        tempfile.tempdir = None  # an import has asked for it; what the nursery had may be gone
        for target, fd in zip((1, 2), fds, strict=False):
            os.dup2(fd, target)
            os.close(fd)
        if len(fds) > 2:
            os.set_inheritable(fds[2], True)
            os.environ[status.FD_VARIABLE] = str(fds[2])

    def _bury(self, pidfd: int) -> None:
        link = self._pidfds.pop(pidfd)
        _, ended = os.waitpid(self._hosts.pop(link), 0)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._selector.unregister(link)
        with contextlib.suppress(OSError):
            link.send(msgspec.json.encode(Ended(ended)))
        link.close()

    def _close(self) -> None:
        """Hosts end with this process."""
        self._listener.close()
        self._place.socket.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._place.socket.parent.rmdir()


def _received(link: socket.socket) -> bytes:
    try:
        return link.recv(1)
    except OSError:
        return b""


def main() -> int:
    """Listens before it imports: whoever wants a host waits in the queue."""
    from trident.engine import __main__ as host_process

    nursery = Nursery(Place(int(sys.argv[1]), Path(sys.argv[2])))
    run = host_process.imported()
    birth = nursery.serve()
    return 0 if birth is None else run(Path(birth.spec_path))


if __name__ == "__main__":
    sys.exit(main())
