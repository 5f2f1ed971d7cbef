"""What the OpenAI door counts in front of vLLM, beside vLLM's families: vLLM's server calls a 429 one of its 4xx."""

from __future__ import annotations

from typing import Protocol

from prometheus_client import Counter, Gauge


class Counts(Protocol):
    """Of one door."""

    def waits(self, requests: int) -> None:
        """So many more wait now."""

    def refused(self) -> None:
        """A request has been sent away with 429."""


class NoCounts:
    """Of a door that nobody watches."""

    def waits(self, requests: int) -> None: ...

    def refused(self) -> None: ...


NO_COUNTS = NoCounts()


class DoorCounts:
    """In the files that the metrics page reads; at most one in a process."""

    def __init__(self, model_name: str) -> None:
        labels = ["model_name"]
        self._queued = Gauge(
            "trident_openai_queued_requests",
            "Requests that wait at the OpenAI door for a place in vLLM.",
            labels,
            multiprocess_mode="livesum",
        ).labels(model_name)
        self._refused = Counter(
            "trident_openai_refused", "Requests that the OpenAI door has sent away with 429.", labels
        ).labels(model_name)

    def waits(self, requests: int) -> None:
        self._queued.inc(requests)

    def refused(self) -> None:
        self._refused.inc()
