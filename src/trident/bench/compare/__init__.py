"""Two runs, load level by load level: what differs, and whether that is more than noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from trident.bench.compare import bootstrap
from trident.bench.compare.comparison import Comparison, Difference, Level, Verdict
from trident.bench.plan import Load
from trident.bench.recorded import Recorded
from trident.bench.result import CONFIDENCE, Point, Rate, Result
from trident.errors import ConfigurationError

INTERVAL_CONFIDENCE = 0.99
"""Higher than the 95 % of single figures: a comparison asks about a dozen figures at each load level."""
NOISE_SHARE = 0.02
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
LATENCIES = ("ttft", "tpot", "e2e", "e2e_from_schedule")
RATES = ("request_throughput", "output_token_throughput", "goodput")
Z_95, Z_99 = 1.959964, 2.575829
COVERS = (
    "Intervals are 99 % bootstrap intervals of B minus A from the requests of these two runs (blocks of neighbours). "
    "They cover chance within a run. They do not cover what changes from run to run - another start of the server, "
    "a busy machine, its temperature - so a change below the noise threshold counts as noise whatever its interval, "
    "and a change that matters should be seen in a second pair of runs."
)

__all__ = ["NOISE_SHARE", "Comparison", "Difference", "Level", "compare"]


def compare(a: Recorded, b: Recorded, *, noise_share: float = NOISE_SHARE, seed: int = 0) -> Comparison:
    """B against A. Raises ConfigurationError when they have no load level in common."""
    points_a = {_key(point.load): point for point in a.result.points}
    points_b = {_key(point.load): point for point in b.result.points}
    common = [key for key in points_a if key in points_b]
    if not common:
        loads_a, loads_b = (", ".join(p.load.label for p in points.values()) for points in (points_a, points_b))
        raise ConfigurationError(
            f"{a.folder} and {b.folder} have no load level in common.",
            f"A has {loads_a or 'none'}; B has {loads_b or 'none'}",
            "run both with the same --concurrency or --rate",
        )
    return Comparison(
        a=str(a.folder),
        b=str(b.folder),
        confidence=INTERVAL_CONFIDENCE,
        noise_share=noise_share,
        covers=COVERS,
        warnings=list(_warnings(a.result, b.result, [(points_a[key], points_b[key]) for key in common])),
        only_a=[point.load.label for key, point in points_a.items() if key not in points_b],
        only_b=[point.load.label for key, point in points_b.items() if key not in points_a],
        levels=[_Levels(a, b, noise_share, seed).level(points_a[key], points_b[key]) for key in common],
    )


def _key(load: Load) -> tuple[object, ...]:
    return load.kind, load.concurrency, load.rate_per_s, load.arrival, load.burstiness


class _Levels:
    """Compares the points of two runs."""

    def __init__(self, a: Recorded, b: Recorded, noise_share: float, seed: int) -> None:
        self._a, self._b = a, b
        self._noise_share = noise_share
        self._rng = np.random.default_rng(seed)

    def level(self, a: Point, b: Point) -> Level:
        """All figures that both have."""
        return Level(
            load=a.load.label,
            level=a.load.level,
            requests_a=a.counts.ok,
            requests_b=b.counts.ok,
            differences=[*self._latencies(a, b), *self._rates(a, b), self._errors(a, b)],
        )

    def _latencies(self, a: Point, b: Point) -> Iterator[Difference]:
        """From the requests themselves; in a closed loop E2E from the schedule is E2E."""
        for metric in LATENCIES:
            if metric == "e2e_from_schedule" and a.load.kind == "closed":
                continue
            known = [
                name
                for name in PERCENTILES
                if getattr(a.distributions.get(metric), name, None) and getattr(b.distributions.get(metric), name, None)
            ]
            if not known:
                continue
            percents = [PERCENTILES[name] for name in known]
            samples_a, samples_b = self._a.samples(a, metric), self._b.samples(b, metric)
            enough = min(len(samples_a), len(samples_b)) >= bootstrap.LEAST_SAMPLES
            clients = a.load.concurrency or 1
            drawn_a = bootstrap.percentiles(samples_a, percents, clients, self._rng) if enough else None
            drawn_b = bootstrap.percentiles(samples_b, percents, clients, self._rng) if enough else None
            for index, name in enumerate(known):
                before = getattr(a.distributions[metric], name).value
                after = getattr(b.distributions[metric], name).value
                interval = None
                if drawn_a is not None and drawn_b is not None:
                    interval = bootstrap.difference(
                        drawn_a[:, index], drawn_b[:, index], INTERVAL_CONFIDENCE, self._rng
                    )
                yield self._difference(metric, name, "ms", before, after, interval, is_lower_better=True)

    def _rates(self, a: Point, b: Point) -> Iterator[Difference]:
        """From both runs' own intervals, which are over slices of their windows: for a mean of many requests the
        difference is close to normal."""
        for metric in RATES:
            before, after = a.rates.get(metric), b.rates.get(metric)
            if before is None or after is None:
                continue
            interval = None
            deviations = (_deviation(before), _deviation(after))
            if deviations[0] is not None and deviations[1] is not None:
                half = Z_99 * math.hypot(deviations[0], deviations[1])
                interval = (after.value - before.value - half, after.value - before.value + half)
            yield self._difference(
                metric, "rate", before.unit, before.value, after.value, interval, is_lower_better=False
            )

    def _errors(self, a: Point, b: Point) -> Difference:
        """The share of failed requests; any change that is no chance counts, however small."""
        total_a, total_b = (point.counts.ok + point.counts.errors for point in (a, b))
        drawn_a = bootstrap.shares(a.counts.errors, total_a, self._rng)
        drawn_b = bootstrap.shares(b.counts.errors, total_b, self._rng)
        before, after = a.counts.errors / max(1, total_a), b.counts.errors / max(1, total_b)
        interval = bootstrap.difference(drawn_a, drawn_b, INTERVAL_CONFIDENCE, self._rng)
        return self._difference("errors", "share", "share", before, after, interval, is_lower_better=True)

    def _difference(
        self, metric: str, statistic: str, unit: str, before: float, after: float,
        interval: tuple[float, float] | None, *, is_lower_better: bool,
    ) -> Difference:  # fmt: skip
        change = after - before
        low, high = interval or (None, None)
        verdict: Verdict = "unknown"
        if low is not None and high is not None:
            is_small = unit != "share" and abs(change) < self._noise_share * abs(before)
            is_chance = low <= 0 <= high or change == 0
            verdict = "noise" if is_small or is_chance else "better" if (change < 0) == is_lower_better else "worse"
        return Difference(metric=metric, statistic=statistic, unit=unit, a=before, b=after, change=change, low=low,
                          high=high, verdict=verdict)  # fmt: skip


def _deviation(rate: Rate) -> float | None:
    """The standard deviation that the rate's own interval stands for."""
    if rate.low is None or rate.high is None:
        return None
    assert CONFIDENCE == 0.95
    return (rate.high - rate.low) / 2 / Z_95


def _warnings(a: Result, b: Result, pairs: list[tuple[Point, Point]]) -> Iterator[str]:
    """Why the two runs may differ for another reason than the one in question."""
    named: list[tuple[str, Callable[[Result], object]]] = [
        ("tool", lambda result: result.tool),
        ("model", lambda result: result.target.model),
        ("API", lambda result: result.target.api),
        ("machine of the client", lambda result: (result.machine.hostname, result.machine.cpu, result.machine.cores)),
        ("input lengths", lambda result: result.workload.input_tokens),
        ("output lengths", lambda result: result.workload.output_tokens),
        ("kind of workload", lambda result: (result.workload.kind, result.workload.path)),
        ("shared prefixes", lambda result: (result.workload.prefix_tokens, result.workload.prefix_count)),
        ("turns", lambda result: (result.workload.turns, result.workload.think_time_s)),
        ("sampling", lambda result: (result.workload.temperature, result.workload.ignore_eos)),
        ("seed", lambda result: result.workload.seed),
        ("SLOs", lambda result: result.slos),
    ]
    for name, read in named:
        if read(a) != read(b):
            yield f"{name}: A has {_said(read(a))}, B has {_said(read(b))}"
    for letter, result in (("A", a), ("B", b)):
        if not result.complete:
            yield f"{letter} is a partial result: {result.partial_reason}"
    for one, other in pairs:
        if one.tokens.output_source != other.tokens.output_source:
            yield (f"{one.load.label}: output tokens are counted by {one.tokens.output_source} in A and by "
                   f"{other.tokens.output_source} in B")  # fmt: skip
        for letter, point in (("A", one), ("B", other)):
            if point.client.client_bound:
                yield f"{point.load.label}: in {letter} the client was the bottleneck"


def _said(value: object) -> str:
    """Without the look of a program."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        value = {key: one for key, one in msgspec.to_builtins(value).items()}
    if isinstance(value, dict):
        return " ".join(f"{key} {one}" for key, one in value.items())
    if isinstance(value, (tuple, list)):
        return ", ".join(_said(one) for one in value) or "none"
    return "none" if value is None else str(value)
