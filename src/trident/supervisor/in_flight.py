"""What stubs have in flight, as they tell it themselves: engines, which are lost and restarted, know only a part."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from trident.protocol import ages
from trident.protocol.ages import Held
from trident.supervisor.processes import identify


class Host(Protocol):
    """A child that is an engine host."""

    @property
    def serves_stubs(self) -> bool: ...


class Buried(NamedTuple):
    """What a stub that has died had in flight: how many requests, and when they came, of the monotonic clock."""

    requests: int = 0
    begun_s: tuple[float, ...] = ()


class InFlight:
    """Of the stubs of all ``hosts``. ``folders`` are those of their sockets."""

    def __init__(self, folders: Callable[[], Iterable[Path]], hosts: Callable[[], Iterable[Host]] = tuple) -> None:
        self.hosts = hosts
        self._folders = folders

    @property
    def moves(self) -> bool:
        """All engines serve: what is in flight comes to its end by itself."""
        return all(host.serves_stubs for host in self.hosts())

    def now(self) -> dict[int, Held]:
        """The ages of requests by the pid of the stub that has them."""
        return {pid: found for pid, found in self._told().items() if identify(pid) is not None}

    def bury(self, stub_pid: int) -> Buried:
        """What that stub, which has died, had in flight. Once; then nobody knows any more."""
        held = self._told().get(stub_pid)
        begun_s = [at_s for folder in self._folders() for at_s in ages.begun_s(folder, stub_pid)]
        for folder in self._folders():
            ages.forget(folder, stub_pid)
        return Buried(held.requests, tuple(begun_s)) if held else Buried()

    def _told(self) -> dict[int, Held]:
        return {pid: found for folder in self._folders() for pid, found in ages.read(folder).items()}
