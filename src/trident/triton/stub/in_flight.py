"""The requests of a stub that have had no outcome."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

from trident.triton.stub.stream import Stream

Tell = Callable[[int, int, int], None]
Began = Callable[[int, float], None]
Ended = Callable[[int], None]


class InFlight:
    """By their numbers, of which one gets another each time that it is submitted. The first is its age, which it keeps:
    ``tell`` gets the lowest and the highest of those in flight and their number whenever they change, ``began`` and
    ``ended`` the one that is new or gone, and when it came.

    ``renumber`` is called by one thread, all else may be by any.
    """

    def __init__(
        self,
        tell: Tell = lambda _lowest, _highest, _count: None,
        began: Began = lambda _age, _at_s: None,
        ended: Ended = lambda _age: None,
    ) -> None:
        self._numbers = itertools.count(1)
        self._streams: dict[int, Stream] = {}
        self._ages: dict[Stream, int] = {}  # in the order of age
        self._highest = 0
        self._tell, self._began, self._ended = tell, began, ended
        self._changing = threading.Lock()

    def __contains__(self, id: int) -> bool:
        return id in self._streams

    def next_id(self) -> int:
        """A number that nobody has had."""
        return next(self._numbers)

    def add(self, stream: Stream) -> None:
        """It begins."""
        with self._changing:
            self._streams[stream.id] = stream
            self._ages[stream] = stream.id
            self._highest = max(self._highest, stream.id)
            self._began(stream.id, stream.submitted_s)
            self._tell_all()

    def get(self, id: int) -> Stream | None:
        """None when it has had its outcome, or another number meanwhile."""
        return self._streams.get(id)

    def end(self, stream: Stream) -> bool:
        """False when it has had its outcome before."""
        with self._changing:
            if self._streams.pop(stream.id, None) is None:
                return False
            self._ended(self._ages.pop(stream))
            self._tell_all()
            return True

    def renumber(self, stream: Stream) -> bool:
        """False when it has had its outcome before."""
        with self._changing:
            if self._streams.pop(stream.id, None) is None:
                return False
            stream.id = self.next_id()
            self._streams[stream.id] = stream
            return True

    def hosts(self) -> Iterator[int | None]:
        """Where each of them is."""
        for stream in list(self._streams.values()):
            yield stream.host

    def at(self, host: int) -> list[Stream]:
        """Those that a host has."""
        return [stream for stream in list(self._streams.values()) if stream.host == host]

    def clear(self) -> None:
        """Lets go of all."""
        with self._changing:
            self._streams.clear()
            self._ages.clear()
            self._tell_all()

    def _tell_all(self) -> None:
        self._tell(next(iter(self._ages.values()), 0), self._highest if self._ages else 0, len(self._ages))
