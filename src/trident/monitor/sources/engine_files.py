"""What engines count, straight from the files in which they do, for readers that look once a second.

The metrics server makes a page of all families of it, asks tritonserver too, and both ends handle 70 KB of text, 6 to
8 ms of CPU in all; these few families cost less than one, which decides whether an open page costs 1 % of a core. A
test compares the two.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from trident.monitor.sources.count_file import CountFile, Key, Labels, Slot
from trident.monitor.sources.server_page import ServerPage
from trident.monitor.text import series
from trident.supervisor.state import ChildState


class EngineFiles:
    """``engines`` tells the engines of now, ``page`` is asked instead where one of them does not count in files (vLLM's
    Rust server). ``wanted`` are names of families, as the library has them: counters without ``_total``."""

    name = "engine_files"

    def __init__(self, engines: Callable[[], list[ChildState]], page: ServerPage, wanted: Collection[str]) -> None:
        self._engines = engines
        self._page = page
        self._wanted = frozenset(wanted)
        self._folders: dict[str, Folder] = {}

    async def read(self) -> str:
        """Raises OSError, ValueError, and what the page raises."""
        engines = self._engines()
        if any(engine.facts.get("openai_server") == "rust" for engine in engines):
            return await self._page.read()
        return await asyncio.to_thread(self._read, engines)

    def _read(self, engines: list[ChildState]) -> str:
        known, self._folders = self._folders, {}
        pages = []
        for engine in engines:
            if (counts := engine.counts) is not None:
                folder = known.get(counts.folder) or Folder(Path(counts.folder), counts.served_name, self._wanted)
                self._folders[counts.folder] = folder
                pages.append(folder.read(is_serving=engine.is_ready))
        return "".join(pages)


class Folder:
    """Of one engine, whose processes count beside each other."""

    def __init__(self, path: Path, served_name: str, wanted: Collection[str]) -> None:
        self._path = path
        self._served_name = served_name
        self._wanted = wanted
        self._files: dict[str, CountFile] = {}
        self._plain: dict[Key, tuple[str, Slot]] = {}
        self._histograms: dict[tuple[str, Labels], Histogram] = {}

    def read(self, *, is_serving: bool) -> str:
        """The wanted families in Prometheus's text format. Raises OSError, ValueError."""
        for slot in self._slots():
            slot.reset()
        for name in sorted(os.listdir(self._path)):  # noqa: PTH208 - it needs no Path for each of them every second
            if name.endswith(".db"):
                file = self._files.get(name) or self._files.setdefault(name, CountFile(self._path / name, self._slot))
                # A gauge says what is now.
                if not file.is_gauge or (is_serving and os.path.exists(f"/proc/{file.pid}")):  # noqa: PTH110
                    file.read()
        lines = [f"{head} {slot.value!r}\n" for head, slot in self._plain.values() if slot.is_seen]
        for histogram in self._histograms.values():
            lines += histogram.lines()
        return "".join(lines)

    def _slots(self) -> Iterator[Slot]:
        for _, slot in self._plain.values():
            yield slot
        for histogram in self._histograms.values():
            yield from histogram.slots.values()

    def _slot(self, file: CountFile, key: Key) -> Slot | None:
        if key.family not in self._wanted:
            return None
        if key.bound is None:
            head = _head(key.sample, key.labels, self._served_name)
            return self._plain.setdefault(key, (head, Slot(is_newest=file.is_newest)))[1]
        series = key.family, key.labels
        if series not in self._histograms:
            self._histograms[series] = Histogram(*series, self._served_name)
        return self._histograms[series].slot(float(key.bound))


class Histogram:
    """One series: its buckets are counted apart and told as sums from below."""

    def __init__(self, family: str, labels: Labels, served_name: str) -> None:
        self.slots: dict[float, Slot] = {}
        self._family = family
        self._labels = labels
        self._served_name = served_name
        self._count = _head(f"{family}_count", labels, served_name)
        self._heads: list[tuple[str, Slot]] = []

    def slot(self, bound: float) -> Slot:
        """The bucket below this bound."""
        if bound not in self.slots:
            self.slots[bound] = Slot(is_newest=False)
            self._heads = [(self._bucket(each), self.slots[each]) for each in sorted(self.slots)]
        return self.slots[bound]

    def lines(self) -> list[str]:
        """Its samples but for the sum, which is a plain one."""
        total, lines = 0.0, []
        for head, slot in self._heads:
            total += slot.value
            lines.append(f"{head} {total!r}\n")
        lines.append(f"{self._count} {total!r}\n")
        return lines

    def _bucket(self, bound: float) -> str:
        text = "+Inf" if bound == float("inf") else repr(bound)
        return _head(f"{self._family}_bucket", (*self._labels, ("le", text)), self._served_name)


def _head(name: str, labels: Labels, served_name: str) -> str:
    return series(name, {"model_name": served_name, **{key: text for key, text in labels if key != "model_name"}})
