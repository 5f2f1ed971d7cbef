"""A network with nobody in it, so that the pages' ports are free, and what they say needs no network has none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import TracebackType

# Brings the loopback up (SIOCSIFFLAGS, IFF_UP | IFF_RUNNING), and holds the network until its stdin ends.
_HOLD = """
import fcntl, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 0x41))
print("up", flush=True)
sys.stdin.read()
"""


class OwnNetwork:
    """``within`` stands in front of a command that is to be in it. Where the kernel forbids it that is empty, and the
    machine's own network has to have the ports free."""

    def __init__(self) -> None:
        self.within: list[str] = []
        self._holder: subprocess.Popen[str] | None = None

    def __enter__(self) -> OwnNetwork:
        if not (shutil.which("unshare") and shutil.which("nsenter")):
            return self
        # Who is not root becomes it in a namespace of users, which costs no privilege.
        is_root = os.getuid() == 0
        command = ["unshare", *([] if is_root else ["--map-root-user"]), "--net", sys.executable, "-c", _HOLD]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() == "up\n":
            users = [] if is_root else ["--user", "--preserve-credentials"]
            self.within = ["nsenter", "--target", str(self._holder.pid), "--net", *users]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._holder is not None:
            self._holder.communicate(timeout=10)
