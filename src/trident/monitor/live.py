"""The sources of the live page: those of ``/metrics`` but for the large one, of which it needs a few families."""

from __future__ import annotations

from trident.config.models import Config
from trident.monitor.counts import COUNTERS, HISTOGRAMS
from trident.monitor.exporter import Exporter
from trident.monitor.server_view import ServerView
from trident.monitor.snapshot import TOTALS
from trident.monitor.sources.engine_files import EngineFiles
from trident.monitor.sources.gpus import Gpus
from trident.monitor.sources.host import Host
from trident.monitor.sources.process_cpu import ProcessCpu
from trident.monitor.sources.server_page import ServerPage
from trident.monitor.text import Family

GAUGES = ("vllm:kv_cache_usage_perc",)


def exporter(view: ServerView, config: Config) -> Exporter:
    """Of the server that ``view`` shows."""
    files = EngineFiles(lambda: view.engines, ServerPage(config.places.metrics.local), wanted())
    return Exporter([files, Children(view), ProcessCpu(lambda: pids(view)), Gpus(view.run_dir), Host(view.run_dir)])


def pids(view: ServerView) -> dict[str, int]:
    """The children and their own processes by name."""
    found: dict[str, int] = {}
    for child in view.children:
        if child.pid is not None:
            found[child.name] = child.pid
        found.update(child.parts)
    return found


def wanted() -> set[str]:
    """Names of the families that are shown or reckoned with, as the library has them."""
    samples = [*HISTOGRAMS.values(), *TOTALS, *GAUGES, *(name for parts in COUNTERS.values() for name, _ in parts)]
    return {_family(sample) for sample in samples}


def _family(sample: str) -> str:
    for ending in ("_count", "_sum", "_total"):
        if sample.endswith(ending):
            return sample.removesuffix(ending)
    return sample


class Children:
    """The supervisor's counts of its children."""

    name = "children"

    def __init__(self, view: ServerView) -> None:
        self._view = view

    async def read(self) -> str:
        """Empty without a server."""
        restarts = Family("trident_child_restarts_total", "counter", "Restarts of the child since the server's start")
        for child in self._view.children:
            restarts.add(child.restarts, child=child.name)
        return restarts.text()
