from __future__ import annotations

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, Summary, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from trident.supervisor.metrics.exposition import as_text


def test_text_is_read_back_as_prometheus_client_means_it() -> None:
    registry = CollectorRegistry()
    Counter("requests", "All of them.", ["reason"], registry=registry).labels("stop").inc(3)
    Gauge("usage", "In use: a \\ and\na break.", ["name"], registry=registry).labels('a "quote", \\ and\na break').set(
        0.1
    )
    Histogram("wait_seconds", "Time.", buckets=[0.001, 1], registry=registry).observe(0.5)
    Summary("size_bytes", "Size.", registry=registry).observe(1e21)
    Gauge("odd", "No number.", registry=registry).set(math.inf)
    metrics = [metric for metric in registry.collect()]
    for metric in metrics:
        metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]

    ours = as_text(metrics).decode()

    lines = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]
    assert ours.splitlines() == lines
    assert list(text_string_to_metric_families(ours))


def test_unknown_kind_is_untyped() -> None:
    metric = Metric("a", "Something.", "unknown")
    metric.add_sample("a", {}, 1)

    assert as_text([metric]) == b"# HELP a Something.\n# TYPE a untyped\na 1.0\n"
