"""What the admission counts, beside vLLM's families in the files that the metrics page reads."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from trident.engine.admission.refusal import REASONS

WAIT_BOUNDS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Counts:
    """The observer of one host's admission; at most one in a process."""

    def __init__(self, model_name: str) -> None:
        labels = ["model_name"]
        self._requests = Gauge(
            "trident_admission_queued_requests",
            "Requests that wait in front of the engine.",
            labels,
            multiprocess_mode="livesum",
        ).labels(model_name)
        self._tokens = Gauge(
            "trident_admission_queued_tokens",
            "Tokens of the prompts that wait, as estimated from their size.",
            labels,
            multiprocess_mode="livesum",
        ).labels(model_name)
        self._wait = Histogram(
            "trident_admission_wait_seconds",
            "Time from a request's arrival until the engine was given it.",
            labels,
            buckets=WAIT_BOUNDS_S,
        ).labels(model_name)
        refused = Counter("trident_admission_refused", "Requests sent away, by reason.", [*labels, "reason"])
        self._refused = {reason: refused.labels(model_name, reason) for reason in REASONS}

    def queue(self, requests: int, tokens: int) -> None:
        """What waits now."""
        self._requests.set(requests)
        self._tokens.set(tokens)

    def waited(self, wait_s: float) -> None:
        """A request has been handed over."""
        self._wait.observe(wait_s)

    def refused(self, reason: str, requests: int = 1) -> None:
        """Requests have been sent away."""
        self._refused[reason].inc(requests)
