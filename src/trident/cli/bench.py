"""``trident bench``: a group of commands; without the name of one it is ``run``."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from trident.cli.bench_compare import compare
from trident.cli.bench_report import report
from trident.cli.bench_run import run
from trident.cli.bench_sweep import sweep


class DefaultsToRun(TyperGroup):
    """``trident bench --concurrency 8`` is ``trident bench run --concurrency 8``."""

    def parse_args(self, context: Any, arguments: list[str]) -> list[str]:
        if not arguments or (arguments[0] not in self.commands and arguments[0] != "--help"):
            arguments = ["run", *arguments]
        return super().parse_args(context, arguments)


app = typer.Typer(cls=DefaultsToRun, help="Load a server and measure what its users would feel.", no_args_is_help=False)
app.command("run")(run)
app.command("sweep")(sweep)
app.command("report")(report)
app.command("compare")(compare)
