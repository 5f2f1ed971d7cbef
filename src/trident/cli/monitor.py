"""``trident monitor``: a group of commands."""

from __future__ import annotations

import typer

from trident.cli import monitor_grafana
from trident.cli.monitor_up import up

app = typer.Typer(help="Watch a running server: page, metrics, alerts.", no_args_is_help=True)
app.command("up")(up)
app.add_typer(monitor_grafana.app, name="grafana")


@app.callback()
def _group() -> None:
    """With one command alone typer would leave its name out."""
