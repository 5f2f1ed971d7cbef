"""What is wanted: most goodput, most tokens per second, or least latency at a given rate, and under which SLOs.

An SLO ``ttft:200ms`` is a limit for each request, and goodput counts the requests that meet all of them. An SLO
``ttft:p95:200ms`` is a limit for the percentile of a load level: a level that breaks it scores nothing. For objectives
other than goodput a limit without a percentile means p95.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec
import numpy as np

from trident.bench import statistics
from trident.bench.metrics import OF_A_REQUEST
from trident.bench.plan import Slo
from trident.bench.recorded import Recorded
from trident.bench.result import Point
from trident.errors import ConfigurationError
from trident.tune.records import LEAST_GOOD_SHARE, Measured, Statistic

Kind = Literal["goodput", "throughput", "latency"]
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
MOST_SAMPLES = 2000
"""Kept for one level, evenly thinned: the journal stays small."""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """An SLO; ``percentile`` None makes it one for each request."""

    metric: str
    limit_ms: float
    percentile: str | None = None

    @property
    def text(self) -> str:
        """As it was written: ``ttft:p95:200ms``."""
        return ":".join(part for part in (self.metric, self.percentile, f"{self.limit_ms:g}ms") if part)


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """``metric`` and ``percentile`` are those of a latency."""

    kind: Kind
    limits: list[Limit] = []
    metric: str = "e2e"
    percentile: Statistic = "p95"

    @property
    def slos(self) -> list[Slo]:
        """Those that each request has to meet."""
        return [Slo(metric=one.metric, limit_ms=one.limit_ms) for one in self.limits if one.percentile is None]

    @property
    def unit(self) -> str:
        """Of a score."""
        return {"goodput": "requests/s", "throughput": "tokens/s", "latency": "ms"}[self.kind]

    @property
    def text(self) -> str:
        """In words."""
        what = {
            "goodput": "most goodput",
            "throughput": "most output tokens per second",
            "latency": f"least {self.metric.upper()} {self.percentile}",
        }[self.kind]
        return f"{what} under {', '.join(one.text for one in self.limits)}" if self.limits else what

    def measured(self, run: Recorded, point: Point) -> Measured:
        """A load level of a load test, judged."""
        samples, statistic = self._samples(run, point)
        broken = [one.text for one in self.limits if one.percentile and not _holds(run, point, one)]
        if point.counts.errors > run.result.stop.max_error_share * max(1, point.counts.sent):
            broken.append("too many errors")
        return Measured(
            level=point.load.level,
            score=score(samples, statistic, self.kind) if not broken else worst(self.kind),
            samples=[round(value, 4) for value in samples] if not broken else [],
            statistic=statistic,
            broken=broken,
            figures=_figures(point),
            is_client_bound=point.client.client_bound,
        )

    def score_of(self, point: Point) -> float:
        """About the score of a level, from its figures alone: good enough to find the best level by."""
        rates, broken = point.rates, [one for one in self.limits if one.percentile and not _holds_roughly(point, one)]
        if broken or self.kind == "latency":
            return 0.0
        share = rates.get("goodput_share")
        if share is not None and share.value < LEAST_GOOD_SHARE:
            return 0.0
        name = "output_token_throughput" if self.kind == "throughput" else "goodput"
        return rates[name].value if name in rates else rates["request_throughput"].value

    def _samples(self, run: Recorded, point: Point) -> tuple[list[float], Statistic]:
        if self.kind == "latency":
            values = run.samples(point, self.metric)
            step = max(1, -(-len(values) // MOST_SAMPLES))
            return [-float(value) for value in values[::step]], self.percentile
        window = point.window
        rows = [row for row in run.requests(point) if row.status != "error"]
        if self.kind == "goodput":
            good = [row for row in rows if (row.good if self.slos else row.status == "ok")]
            at_ns = np.array([row.last_ns for row in good], np.int64)
            amounts = np.ones(len(good))
        else:
            arrived = [
                (run.arrivals.of(at), run.rows[at]) for at in run.positions(point) if run.rows[at].status != "error"
            ]
            at_ns = np.concatenate([times for times, _ in arrived] or [np.zeros(0, np.int64)])
            each = [np.full(len(times), row.output_tokens / len(times)) for times, row in arrived if len(times)]
            amounts = np.concatenate(each or [np.zeros(0)])
        sliced = statistics.slices(at_ns, amounts, window.start_ns, window.end_ns)
        length_s = window.seconds / max(1, len(sliced))
        return [float(amount / length_s) for amount in sliced], "mean"


def score(samples: Sequence[float], statistic: Statistic, kind: Kind) -> float:
    """The statistic of the samples. Latencies are negative already, so their p95 is the 5th percentile here."""
    if not len(samples):
        return worst(kind)
    if statistic == "mean":
        return float(np.mean(samples))
    return float(np.percentile(samples, 100 - PERCENTILES[statistic]))


def worst(kind: Kind) -> float:
    """The score of a level that serves nobody: no rate, or a latency of an hour."""
    return -3_600_000.0 if kind == "latency" else 0.0


def parse(kind: str, slos: Sequence[str]) -> Objective:
    """``goodput``, ``throughput``, ``latency`` or ``latency:ttft:p99``, with SLOs. Raises ConfigurationError."""
    head, *rest = kind.split(":")
    metric, percentile = (*rest, *("e2e", "p95")[len(rest) :])[:2] if len(rest) <= 2 else ("", "")
    if head not in get_args(Kind) or (rest and head != "latency") or metric not in OF_A_REQUEST:
        raise _unknown(kind)
    if percentile not in PERCENTILES:
        raise _unknown(kind)
    limits = [_limit(text) for text in slos]
    if head == "goodput" and not any(one.percentile is None for one in limits):
        raise ConfigurationError(
            "Goodput needs an SLO for each request",
            "it counts the requests that meet all SLOs, and none is given",
            "add for instance --slo ttft:500ms --slo tpot:50ms, or ask for --objective throughput",
        )
    if head != "goodput":
        limits = [msgspec.structs.replace(one, percentile=one.percentile or "p95") for one in limits]
    return Objective(kind=head, limits=limits, metric=metric, percentile=percentile)  # type: ignore[arg-type]


def _limit(text: str) -> Limit:
    metric, *percentile, limit = text.split(":") if text.count(":") in (1, 2) else ("", "")
    number, unit_ms = (limit[:-2], 1.0) if limit.endswith("ms") else (limit.removesuffix("s"), 1000.0)
    try:
        limit_ms = float(number) * (unit_ms if limit.endswith("s") else 1.0)
    except ValueError:
        limit_ms = -1.0
    if (
        metric not in OF_A_REQUEST
        or not 0 < limit_ms < float("inf")
        or (percentile and percentile[0] not in PERCENTILES)
    ):
        raise ConfigurationError(
            f"--slo {text} is no objective",
            f"it is METRIC:LIMIT or METRIC:PERCENTILE:LIMIT with a metric of {', '.join(OF_A_REQUEST)} and a "
            f"percentile of {', '.join(PERCENTILES)}",
            "for instance --slo ttft:500ms --slo tpot:p95:50ms",
        )
    return Limit(metric=metric, limit_ms=limit_ms, percentile=percentile[0] if percentile else None)


def _unknown(kind: str) -> ConfigurationError:
    return ConfigurationError(
        f"--objective {kind} is unknown",
        "known are goodput, throughput, and latency with METRIC:PERCENTILE behind it",
        "for instance --objective latency:ttft:p95",
    )


def _holds(run: Recorded, point: Point, limit: Limit) -> bool:
    values = run.samples(point, limit.metric)
    return bool(len(values)) and float(np.percentile(values, PERCENTILES[limit.percentile or "p95"])) <= limit.limit_ms


def _holds_roughly(point: Point, limit: Limit) -> bool:
    """A percentile beyond the samples is taken for the largest one."""
    found = point.distributions[limit.metric]
    estimate = getattr(found, limit.percentile or "p95")
    value = estimate.value if estimate is not None else found.max
    return value is not None and value <= limit.limit_ms


def _figures(point: Point) -> dict[str, float]:
    found = {name: rate.value for name, rate in point.rates.items()}
    for name in ("ttft", "tpot", "e2e"):
        for percentile in ("p50", "p95", "p99"):
            estimate = getattr(point.distributions[name], percentile)
            if estimate is not None:
                found[f"{name}_{percentile}_ms"] = estimate.value
    return {name: round(value, 4) for name, value in found.items()} | {"requests": float(point.counts.ok)}
