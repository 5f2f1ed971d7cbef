"""Times of the kernel's clock, on the event loop.

A loop's own timers are whole milliseconds of a clock that is read once a turn. A timerfd fires when it should, and says
how often it has, so a late turn can be measured.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = os.O_NONBLOCK, os.O_CLOEXEC, 1


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("first", _Timespec)]


class Timer:
    """Calls ``fired`` with the number of expirations at ``first_ns`` of the monotonic clock, and each ``period_ns``
    after that."""

    def __init__(self, first_ns: int, period_ns: int, fired: Callable[[int], None]) -> None:
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._fired = fired
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)
        self.set(first_ns, period_ns)

    def set(self, first_ns: int, period_ns: int = 0) -> None:
        """A time that has passed fires at once."""
        times = _Itimerspec(_Timespec(*divmod(period_ns, 10**9)), _Timespec(*divmod(max(1, first_ns), 10**9)))
        _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(times), None)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._fired(struct.unpack("Q", data)[0])


class LoopLag:
    """How late the loop comes to what is ready: one sample for each expiration of a timer, in ns.

    The period is no multiple of a usual engine step, or every sample would meet the same moment of it.
    """

    PERIOD_NS = 7_300_000

    def __init__(self) -> None:
        self.samples_ns: list[int] = []
        self._next_ns = time.perf_counter_ns() + self.PERIOD_NS
        self._timer = Timer(self._next_ns, self.PERIOD_NS, self._fired)

    def close(self) -> None:
        self._timer.close()

    def _fired(self, expirations: int) -> None:
        now_ns = time.perf_counter_ns()
        for _ in range(expirations):
            self.samples_ns.append(now_ns - self._next_ns)
            self._next_ns += self.PERIOD_NS
