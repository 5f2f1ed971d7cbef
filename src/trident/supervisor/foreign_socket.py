"""A socket of another process, lent for a moment.

The kernel lets a process's ancestor take a copy of its descriptors (``pidfd_getfd``, Linux 5.6): what is done to the
copy's connection, or to the flags of the open file, is done to both.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from collections.abc import Iterator

_PIDFD_GETFD = 438


class Gone(Exception):
    """The descriptor has been closed meanwhile, or is none of a socket any more."""


@contextlib.contextmanager
def lent(pid: int, fd: int) -> Iterator[socket.socket]:
    """Raises Gone, also in place of an error of what is done with it, and OSError when the system does not allow it."""
    # Held for microseconds: as long as there is a copy, the process's own close() closes nothing.
    pidfd = os.pidfd_open(pid)
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, fd, 0)
        number = ctypes.get_errno()
    finally:
        os.close(pidfd)
    if copy < 0:
        if number == errno.EBADF:
            raise Gone
        raise OSError(number, f"pidfd_getfd: {os.strerror(number)}")
    try:
        opened = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise Gone from None
    try:
        yield opened
    except OSError:
        raise Gone from None
    finally:
        opened.close()
