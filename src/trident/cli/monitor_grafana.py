"""``trident monitor grafana``: for a Grafana that runs already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trident.cli import show

app = typer.Typer(help="Show a server in a Grafana that runs already.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """With one command alone typer would leave its name out."""


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files are written.")],
    prometheus_url: Annotated[
        str | None, typer.Option("--prometheus-url", help="Where Grafana finds Prometheus. (default Trident's own)")
    ] = None,
    dashboards_at: Annotated[
        Path | None, typer.Option("--dashboards-at", help="Where Grafana will find the dashboards. (default in DIR)")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file. (default trident.toml)")] = None,
) -> None:
    """Write dashboards, Grafana's provisioning files, and Prometheus's rules."""
    from trident.config import load
    from trident.errors import ConfigurationError
    from trident.monitor.grafana import export as files
    from trident.monitor.prometheus.rules import groups

    monitor = load({}, file=config).monitor
    place = folder.expanduser().absolute()
    url = prometheus_url or f"http://127.0.0.1:{monitor.prometheus_port}"
    chosen = files.bounds(monitor.slo_ttft_s, monitor.slo_tpot_s)
    try:
        written = files.write(place, url, monitor.scrape_s, chosen, dashboards_at)
        written.append(files.rules(place, [group.as_map() for group in groups(monitor)]))
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigurationError(f"Cannot write to {place}", why, "name another folder") from error
    for file in written:
        show.line(str(file))
    show.line("")
    show.line("Provisioned: point Grafana's provisioning folder at it, for instance")
    show.line(f"  GF_PATHS_PROVISIONING={place / files.PROVISIONING_FOLDER}")
    show.line(f"By hand: import the files of {place / files.DASHBOARDS_FOLDER}, and choose the data source.")
    show.line("The rules are for Prometheus (rule_files).")
