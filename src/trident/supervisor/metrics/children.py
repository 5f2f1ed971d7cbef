"""What the supervisor knows of its children, as metric families."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from trident.supervisor.state import ChildState

_GAUGES: dict[str, tuple[str, Callable[[ChildState], float]]] = {
    "trident_child_up": ("1 while the child serves", lambda child: child.is_ready),
    "trident_child_crash_loop_restarts": (
        "Restarts after short lives that count against max_restarts now",
        lambda child: child.crash_loop,
    ),
}
_COUNTERS: dict[str, tuple[str, Callable[[ChildState], float]]] = {
    "trident_child_restarts": ("Restarts of the child since the server's start", lambda child: child.restarts),
    "trident_child_mended": (
        "Processes of the child that died and were replaced without a restart",
        lambda child: child.mended,
    ),
}


def of(children: Sequence[ChildState]) -> list[Metric]:
    """Each with the label ``child``; nothing where there are no children."""
    found: list[Metric] = []
    for name, (text, value) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, text, labels=["child"])
        for child in children:
            gauge.add_metric([child.name], float(value(child)))
        found.append(gauge)
    for name, (text, value) in _COUNTERS.items():
        counter = CounterMetricFamily(name, text, labels=["child"])
        for child in children:
            counter.add_metric([child.name], float(value(child)))
        found.append(counter)
    return found if children else []
