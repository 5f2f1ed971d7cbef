"""``trident monitor up``: the monitor and Prometheus beside a server that runs already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trident.cli import show
from trident.cli.flags import with_some_settings

if TYPE_CHECKING:
    from trident.config.models import Config
    from trident.monitor.watchers import Watchers
    from trident.supervisor.state import ChildState

FLAGS = (
    "monitor_host",
    "monitor_port",
    "prometheus",
    "prometheus_port",
    "scrape_s",
    "alertmanager",
    "grafana",
    "grafana_port",
)
"""What may differ from the server's own ``[monitor]``. Promises are the server's: its histograms have their bounds."""


@with_some_settings(*FLAGS)
def up(
    name: Annotated[str | None, typer.Option("--name", help="Name of the server.")] = None,
    *,
    flags: Mapping[str, Any],
) -> None:
    """Watch a running server until Ctrl-C. The server is not touched; with serve --monitor none of this is needed."""
    import asyncio

    from trident.monitor import watchers
    from trident.supervisor import ports

    config = _config(name, flags)
    if config is None:
        return
    ports.probe_monitor(config)
    watching = watchers.of(config, config.run_dir / "logs")
    asyncio.run(_watch(config, watching))


def _config(name: str | None, flags: Mapping[str, Any]) -> Config | None:
    """The server's, with these flags; None when it is watched already."""
    from trident.cli.status import running
    from trident.config.load import changed
    from trident.supervisor.run_directory import config_of

    found = running(name)
    if "Monitor" in found.urls:
        show.line(f"{found.name} is watched already: {found.urls['Monitor']}")
        return None
    return changed(config_of(Path(found.run_dir)), "monitor", {**flags, "monitor": True})


async def _watch(config: Config, watching: Watchers) -> None:
    import asyncio

    from trident.cli import ready
    from trident.supervisor import signals
    from trident.supervisor.attendants import Attendants

    said: dict[str, str] = {}

    def tell() -> None:
        for child in attendants.states:
            _tell(child, said)

    attendants = Attendants(watching.commands, config.supervision, tell)
    stop, force = asyncio.Event(), asyncio.Event()

    def on_signal(_: str) -> None:
        if stop.is_set():
            force.set()
        stop.set()

    for door, url in watching.urls.items():
        show.line(f"  {door:<15} {url}")
    if "Prometheus" not in watching.urls:
        show.line(f"  {ready.NO_PROMETHEUS}")
    show.line("Stop: Ctrl-C")
    with signals.taken(on_signal):
        attendants.start()
        try:
            await stop.wait()
        finally:
            await attendants.stop(force)


def _tell(child: ChildState, said: dict[str, str]) -> None:
    """Each change once."""
    if said.get(child.name) != child.phase:
        said[child.name] = child.phase
        with show.going_on():
            show.line(f"{child.name}: {child.phase}")
