"""Metrics as Prometheus's text format 0.0.4. prometheus_client's own writer checks the name of each label of each
sample against patterns, which takes as long as all the rest of a page; ours have been read by it, so they are good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.utils import floatToGoString

KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "summary": "summary"}


def as_text(metrics: Iterable[Metric]) -> bytes:
    """In the order in which they come; of a kind that the format does not know it is untyped."""
    lines: list[str] = []
    for metric in metrics:
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        about = metric.documentation.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"# HELP {name} {about}\n# TYPE {name} {KINDS.get(metric.type, 'untyped')}\n")
        lines += [
            f"{sample.name}{_labels(sample.labels)} {floatToGoString(sample.value)}\n"  # type: ignore[no-untyped-call]
            for sample in metric.samples
        ]
    return "".join(lines).encode()


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join([f'{name}="{_escaped(labels[name])}"' for name in sorted(labels)]) + "}"


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return value
