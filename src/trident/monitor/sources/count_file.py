"""One of the files in which a process of an engine counts (prometheus_client's multiprocess mode), read every second.

As in ``supervisor.metrics.counts`` each key is decoded once, as it keeps its place, and later only its number is read.
Here also what is written of it is made once, and gauges are read in the same way.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from trident.supervisor.metrics import count_keys

_USED = struct.Struct("i")
"""Bytes of the file that are in use: its first four say it."""
_NUMBERS = struct.Struct("dd")

Labels = tuple[tuple[str, str], ...]


class Key(NamedTuple):
    """A family and one sample of it. ``bound`` is a bucket's, which counts what lies below it and above the one
    before."""

    family: str
    sample: str
    labels: Labels
    bound: str | None


class Slot:
    """One sample, summed over the processes that count it; of a gauge set by several the newest. ``is_seen`` since the
    last ``reset``."""

    __slots__ = ("is_newest", "is_seen", "set_at", "value")

    def __init__(self, *, is_newest: bool) -> None:
        self.is_newest = is_newest
        self.reset()

    def reset(self) -> None:
        """Nothing is known."""
        self.value = self.set_at = 0.0
        self.is_seen = False

    def take(self, value: float, set_at: float) -> None:
        """What one process has."""
        if not self.is_newest:
            self.value += value
        elif set_at >= self.set_at:
            self.value, self.set_at = value, set_at
        self.is_seen = True


class CountFile:
    """``slot_of`` says where a sample goes, None for one that nobody wants. ``is_gauge`` and ``is_newest`` (of several
    processes) are told by its name, as is ``pid``, the process that counts."""

    def __init__(self, path: Path, slot_of: Callable[[CountFile, Key], Slot | None]) -> None:
        parts = path.stem.split("_")
        self.is_gauge = parts[0] == "gauge"
        self.is_newest = self.is_gauge and "mostrecent" in parts[1]
        self.pid = parts[-1]
        self._path = path
        self._slot_of = slot_of
        self._learnt_to = count_keys.FIRST_BYTE
        self._entries: list[tuple[int, Slot]] = []

    def read(self) -> None:
        """Gives each slot its number. Raises OSError, ValueError for a broken file."""
        try:
            with self._path.open("rb", buffering=0) as file:
                head = file.read(_USED.size)
                data = head + file.read(_USED.unpack(head)[0] - _USED.size)
            self._learn(data)
            unpack = _NUMBERS.unpack_from
            for place, slot in self._entries:
                slot.take(*unpack(data, place))
        except (struct.error, ValueError) as error:
            raise ValueError(f"{self._path} is cut off") from error

    def _learn(self, data: bytes) -> None:
        for key, place in count_keys.keys(data, self._learnt_to):
            family, sample, labels, _ = json.loads(key)
            bound = labels.pop("le", None)
            slot = self._slot_of(self, Key(family, sample, tuple(sorted(labels.items())), bound))
            if slot is not None:
                self._entries.append((place, slot))
            self._learnt_to = place + count_keys.NUMBERS_BYTES
