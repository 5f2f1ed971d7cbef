"""How many tokens the engine's steps had: those above the largest CUDA graph are launched kernel by kernel."""

from __future__ import annotations

import contextlib
import re
import time
import urllib.request
from collections import Counter

from speed_triton import Trident

from trident.engine_command import counts_dir

SETTLES_S = 0.3
"""The relay records ten times a second."""
_BUCKET = re.compile(r'^vllm:iteration_tokens_total_bucket\{.*le="([^"]+)".*\} (\S+)$', re.MULTILINE)


class Steps:
    """Steps since it was made, by the upper bound of their tokens."""

    def __init__(self, server: Trident) -> None:
        self._server = server
        self._before = _read(server)

    def said(self) -> dict[str, float]:
        """Only bounds that had any."""
        time.sleep(SETTLES_S)
        spent = _read(self._server)
        spent.subtract(self._before)
        found, below = {}, 0.0
        for bound in sorted(spent, key=float):
            if spent[bound] > below:
                found[bound] = spent[bound] - below
            below = max(below, spent[bound])
        return found


def _read(server: Trident) -> Counter[str]:
    """Cumulative, of both front doors."""
    found: Counter[str] = Counter()
    for text in (_relays(server), _rust(server)):
        for bound, value in _BUCKET.findall(text):
            found["inf" if bound == "+Inf" else f"{float(bound):g}"] += float(value)
    return found


def _relays(server: Trident) -> str:
    with contextlib.suppress(ImportError, OSError, ValueError):
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(counts_dir(server.config)))
        return generate_latest(registry).decode()
    return ""


def _rust(server: Trident) -> str:
    url = f"http://127.0.0.1:{server.config.listen.openai_port}/metrics"
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())
    return ""
