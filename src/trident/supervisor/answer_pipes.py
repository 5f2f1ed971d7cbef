"""The pipes by which tritonserver's HTTP threads learn that there is something to send.

Triton's HTTP server (libevhtp) hands each piece of an answer to the thread that has the connection, by a note through a
pair of sockets. These do not block: when some 280 notes wait, because the thread has had no turn for a while, the next
is dropped and nobody is told. If it was the last of an answer, the client waits for ever; 45 of 64 streams did, with
the threads held for 6 s. Without O_NONBLOCK, who has an answer waits until there is room. That flag belongs to the
open file, so it can be taken away from here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import struct
from pathlib import Path

from trident.supervisor import unix_peers
from trident.supervisor.foreign_socket import Gone, lent

log = logging.getLogger(__name__)

_WATCHED = re.compile(r"^tfd:\s+(\d+)", re.MULTILINE)
_PEER = struct.Struct("iII")
"""``struct ucred``: pid, uid, gid."""


def make_patient(pid: int) -> int:
    """How many there were to do. Where the system does not allow it, says so in the log, and nothing has changed."""
    try:
        return _make_patient(pid)
    except OSError as error:
        log.warning("tritonserver may drop answers when it is overloaded; its pipes cannot be changed: %s", error)
        return 0


def _make_patient(pid: int) -> int:
    process = Path("/proc") / str(pid)
    # What a thread waits for it reads, in loops that end when there is nothing more: that end has to stay as it is.
    read_by_threads = _watched(process)
    sockets = _sockets(process)
    ends = _other_ends({sockets[fd] for fd in read_by_threads if fd in sockets})
    changed = 0
    for fd, inode in sockets.items():
        if fd not in read_by_threads and (ends is None or inode in ends):
            with contextlib.suppress(Gone), lent(pid, fd) as copy:
                if _is_end_of_pair(copy, pid) and not os.get_blocking(copy.fileno()):
                    os.set_blocking(copy.fileno(), True)
                    changed += 1
    return changed


def _watched(process: Path) -> set[int]:
    """Descriptors that some epoll of the process waits for."""
    watched: set[int] = set()
    for entry in (process / "fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            watched.update(map(int, _WATCHED.findall(entry.read_text())))
    return watched


def _sockets(process: Path) -> dict[int, int]:
    """By descriptor the inode of its socket."""
    found: dict[int, int] = {}
    for entry in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = entry.readlink().name
            if target.startswith("socket:["):
                found[int(entry.name)] = int(target[len("socket:[") : -1])
    return found


def _other_ends(watched: set[int]) -> set[int] | None:
    """Of these sockets. Others in the process have pairs too, which they wait for in other ways and which have to stay:
    curl, by which spans are sent, stood still for ever with its own. None where the kernel does not tell."""
    try:
        return {inode for inode, peer in unix_peers.peers().items() if peer in watched}
    except OSError as error:
        log.info("the ends of unix sockets are not told: %s", error)
        return None


def _is_end_of_pair(copy: socket.socket, pid: int) -> bool:
    """Both ends of such a pair are the process's own, and no end has a name."""
    if copy.family != socket.AF_UNIX or copy.type != socket.SOCK_STREAM or copy.getsockname():
        return False
    peer_pid, _, _ = _PEER.unpack(copy.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return bool(peer_pid == pid)
