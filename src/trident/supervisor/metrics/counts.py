"""Counters and histograms of the processes that share ``PROMETHEUS_MULTIPROC_DIR``, read again and again.

prometheus_client's own reader parses every key of every file each time, which takes 10 ms of a core for an engine; a
key never moves once it is in its file, so here each is parsed once and only the numbers are read. What is added up is
the same; gauges have other rules and are left to it.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from trident.supervisor.metrics import count_keys

_DOUBLE = struct.Struct("d").unpack_from
BOUND = "le"


class Key(NamedTuple):
    """What one number in a file is: ``sample`` is of the family ``metric``."""

    metric: str
    sample: str
    labels: dict[str, str]
    about: str

    @property
    def bound(self) -> str | None:
        """Of a bucket. Each holds what fell into it alone; the format wants sums from the lowest up."""
        return self.labels.get(BOUND)


class Counts:
    """Of one folder. May be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[Path, _File] = {}
        self._keys: dict[bytes, int] = {}
        self._families: dict[str, _Family] = {}

    def read(self, files: Iterable[Path]) -> list[Metric]:
        """The families of all these files, which grow and are never others under the same name. Raises OSError,
        ValueError when one is no such file."""
        with self._lock:
            sums = [0.0] * len(self._keys)
            for path in files:
                file = self._files.setdefault(path, _File(path))
                data = path.read_bytes()
                for key, place in file.new_keys(data):
                    file.slots.append((self._slot(path, key), place))
                sums += [0.0] * (len(self._keys) - len(sums))
                for slot, offset in file.slots:
                    sums[slot] += _DOUBLE(data, offset)[0]
            return [family.metric(sums) for family in self._families.values()]

    def _slot(self, path: Path, text: bytes) -> int:
        """The same for the same key in all files."""
        if text not in self._keys:
            slot = self._keys[text] = len(self._keys)
            key = Key(*json.loads(text))
            kind = path.name.partition("_")[0]
            self._families.setdefault(key.metric, _Family(key.metric, key.about, kind)).add(key, slot)
        return self._keys[text]


class _File:
    """``slots`` pairs each number's place with the sum that it belongs to."""

    def __init__(self, path: Path) -> None:
        self.slots: list[tuple[int, int]] = []
        self._path = path
        self._read_to = count_keys.FIRST_BYTE

    def new_keys(self, data: bytes) -> list[tuple[bytes, int]]:
        """Those that were not there before, with the places of their numbers."""
        try:
            found = list(count_keys.keys(data, self._read_to))
        except ValueError as error:
            raise ValueError(f"{self._path}: {error}") from error
        if found:
            self._read_to = found[-1][1] + count_keys.NUMBERS_BYTES
        return found


class _Family:
    """A family's samples in the order of the format, and where the sum of each is."""

    def __init__(self, name: str, about: str, kind: str) -> None:
        self._name, self._about, self._kind = name, about, kind
        self._plain: list[tuple[Key, int]] = []
        self._buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, int]]] = {}

    def add(self, key: Key, slot: int) -> None:
        if key.bound is None:
            self._plain.append((key, slot))
            return
        rest = tuple(item for item in key.labels.items() if item[0] != BOUND)
        group = self._buckets.setdefault(rest, [])
        group.append((float(key.bound), slot))
        group.sort()

    def metric(self, sums: list[float]) -> Metric:
        found = Metric(self._name, self._about, self._kind)
        found.samples = [Sample(key.sample, key.labels, sums[slot]) for key, slot in self._plain]
        for rest, group in self._buckets.items():
            labels, total = dict(rest), 0.0
            for bound, slot in group:
                total += sums[slot]
                text = floatToGoString(bound)  # type: ignore[no-untyped-call]
                found.samples.append(Sample(f"{self._name}_bucket", {**labels, BOUND: text}, total))
            found.samples.append(Sample(f"{self._name}_count", labels, total))
        return found
