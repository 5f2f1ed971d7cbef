"""Writes the dashboards: ``python -m trident.monitor.grafana.design.build``, which is ``make dashboards``."""

from __future__ import annotations

from collections.abc import Callable

from trident.monitor.grafana.design import doors, engine, machine, overview
from trident.monitor.grafana.export import DASHBOARDS

BUILDERS: dict[str, Callable[[], str]] = {
    overview.UID: overview.build,
    engine.UID: engine.build,
    doors.UID: doors.build,
    machine.UID: machine.build,
}


def main() -> None:
    """Writes them all anew."""
    for old in DASHBOARDS.glob("*.json"):
        old.unlink()
    for uid, build in BUILDERS.items():
        (DASHBOARDS / f"{uid}.json").write_text(build(), encoding="utf-8")


if __name__ == "__main__":
    main()
