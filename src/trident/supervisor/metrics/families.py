"""Metric families as prometheus_client has them: from an engine's files or from text, added up, labelled, as text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from trident.supervisor.metrics.counts import Counts

Labels = tuple[tuple[str, str], ...]


def of_folder(folder: Path, *, is_serving: bool = True, counts: Counts | None = None) -> list[Metric]:
    """What all processes have counted that share ``PROMETHEUS_MULTIPROC_DIR``, those of earlier lives too: counts must
    not fall. A gauge says what is now, so it goes with its process, and before it when the engine does not serve.
    ``counts`` of the same folder makes the second time cheaper."""
    gauges: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.glob("*.db")):
        (gauges if path.name.startswith("gauge_") else others).append(path)
    alive = [str(path) for path in gauges if is_serving and _is_alive(path)]
    merged: list[Metric] = list(MultiProcessCollector.merge(alive))  # type: ignore[no-untyped-call]
    return [*merged, *(counts or Counts()).read(others)]


def of_text(text: str) -> list[Metric]:
    """Prometheus's text format. Raises ValueError when it is none."""
    return list(text_string_to_metric_families(text))


def labelled(metrics: Iterable[Metric], labels: Mapping[str, str]) -> list[Metric]:
    """With these labels too; where a sample has one of them already, its own stands."""
    return [
        _like(metric, [sample._replace(labels={**labels, **sample.labels}) for sample in metric.samples])
        for metric in metrics
    ]


def added(one: Iterable[Metric], other: Iterable[Metric]) -> list[Metric]:
    """Counts of two front-ends of one engine. Counters and histograms add up. A gauge is the engine's state, of which
    each front-end has what it heard last: the larger one is taken."""
    found = {metric.name: metric for metric in one}
    for metric in other:
        known = found.get(metric.name)
        found[metric.name] = _like(metric, _sum(known, metric)) if known else metric
    return list(found.values())


def with_alias(metrics: Iterable[Metric], name: str, alias: str) -> list[Metric]:
    """The family ``name`` once more as ``alias``, unless there is one of that name."""
    found = list(metrics)
    original = next((metric for metric in found if metric.name == name), None)
    if original is None or any(metric.name == alias for metric in found):
        return found
    copy = Metric(alias, original.documentation, original.type)
    copy.samples = [sample._replace(name=sample.name.replace(name, alias, 1)) for sample in original.samples]
    return [*found, copy]


def side_by_side(engines: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Each family once, with the samples of all engines, which their labels tell apart."""
    found: dict[str, Metric] = {}
    for metric in (metric for metrics in engines for metric in metrics):
        known = found.setdefault(metric.name, _like(metric, []))
        known.samples += metric.samples
    return list(found.values())


def _is_alive(gauge_file: Path) -> bool:
    # gauge_MODE_PID.db
    return Path("/proc", gauge_file.stem.rpartition("_")[2]).exists()


def _like(metric: Metric, samples: list[Sample]) -> Metric:
    copy = Metric(metric.name, metric.documentation, metric.type)
    copy.samples = samples
    return copy


def _sum(one: Metric, other: Metric) -> list[Sample]:
    combine: Callable[[float, float], float] = max if one.type == "gauge" else float.__add__
    values: dict[tuple[str, Labels], float] = {}
    for sample in (*one.samples, *other.samples):
        if not _is_bucket(sample):
            key = sample.name, _labels(sample)
            value = float(sample.value)
            values[key] = combine(values[key], value) if key in values else value
    samples = [Sample(name, dict(labels), value) for (name, labels), value in values.items()]
    return [*_added_buckets(one, other), *samples]


def _added_buckets(one: Metric, other: Metric) -> list[Sample]:
    """The bounds of both. Where a side has no such bound it counts as at its next lower one: no bucket then says more
    than is known, and buckets still grow with their bounds."""
    sides = _buckets(one), _buckets(other)
    samples = []
    for key in {**sides[0], **sides[1]}:
        curves = [sorted(side.get(key, {}).items(), key=lambda item: float(item[0])) for side in sides]
        bounds = sorted({bound for curve in curves for bound, _ in curve}, key=float)
        for bound in bounds:
            value = sum(_at(curve, float(bound)) for curve in curves)
            samples.append(Sample(key[0], {**dict(key[1]), "le": bound}, value))
    return samples


def _at(curve: list[tuple[str, float]], bound: float) -> float:
    index = bisect_right([float(known) for known, _ in curve], bound)
    return curve[index - 1][1] if index else 0.0


def _buckets(metric: Metric) -> dict[tuple[str, Labels], dict[str, float]]:
    found: dict[tuple[str, Labels], dict[str, float]] = {}
    for sample in metric.samples:
        if _is_bucket(sample):
            found.setdefault((sample.name, _labels(sample)), {})[sample.labels["le"]] = float(sample.value)
    return found


def _is_bucket(sample: Sample) -> bool:
    return "le" in sample.labels


def _labels(sample: Sample) -> Labels:
    return tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
