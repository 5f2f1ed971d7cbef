"""All rules of a server, in groups."""

from __future__ import annotations

from trident.config.monitor import Monitor
from trident.monitor.prometheus import burn, gpu_faults, liveness, promises, saturation
from trident.monitor.prometheus.recording import RECORDINGS
from trident.monitor.prometheus.rule import Alert, Group, Recording

LIVENESS_S = 2
LIVE_S = 5
ALERTS_S = 10


def groups(monitor: Monitor) -> list[Group]:
    """With the promises of this configuration."""
    return [
        Group("trident-liveness", LIVENESS_S, liveness.ALERTS),
        Group("trident-live", LIVE_S, RECORDINGS),
        Group("trident-promises", promises.INTERVAL_S, tuple(promises.recordings(monitor))),
        Group("trident-burn", ALERTS_S, tuple(burn.alerts(monitor))),
        Group("trident-saturation", ALERTS_S, saturation.ALERTS),
        Group("trident-gpu", ALERTS_S, gpu_faults.ALERTS),
    ]


def recordings(monitor: Monitor) -> list[Recording]:
    """Everything that is recorded."""
    return [rule for group in groups(monitor) for rule in group.rules if isinstance(rule, Recording)]


def alerts(monitor: Monitor) -> list[Alert]:
    """Everything that can fire."""
    return [rule for group in groups(monitor) for rule in group.rules if isinstance(rule, Alert)]
