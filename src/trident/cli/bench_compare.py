"""``trident bench compare``: two result folders, figure by figure, with a verdict on each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trident.cli import show

if TYPE_CHECKING:
    from trident.bench.compare import Comparison

REGRESSION_EXIT_CODE = 8
WIDTH_OF_A_FILE = 120
STYLES = {"better": "green", "worse": "bold red", "noise": "dim", "unknown": "yellow"}


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="The folder to compare with.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The folder in question.")],
    noise: Annotated[
        float, typer.Option("--noise", help="Changes below this share are noise whatever their interval.", min=0, max=1)
    ] = 0.02,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page, too.")] = None,
    fail_on_regression: Annotated[
        bool, typer.Option("--fail-on-regression", help=f"Exit code {REGRESSION_EXIT_CODE} if anything became worse.")
    ] = False,
) -> None:
    """Say what B does better or worse than A, and what is noise."""
    from trident.bench import recorded
    from trident.bench.compare import compare, page

    found = compare(recorded.load(a), recorded.load(b), noise_share=noise)
    if html:
        html.write_text(page.html(found), encoding="utf-8")
        show.note(f"written: {html}")
    if as_json:
        import msgspec

        show.line(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        _print(found)
    if fail_on_regression and any(level.of("worse") for level in found.levels):
        raise typer.Exit(REGRESSION_EXIT_CODE)


def _print(found: Comparison) -> None:
    """Tables on a terminal and in a file alike; colour only where it can be seen."""
    from rich.table import Table
    from rich.text import Text

    from trident.bench.compare import page

    console = show.console()
    if not console.is_terminal:
        console.width = WIDTH_OF_A_FILE
    for warning in found.warnings:
        console.print(Text(f"differs: {warning}", "yellow"), soft_wrap=True)
    for level in found.levels:
        title = f"{level.load}: {level.requests_a:,} requests in A, {level.requests_b:,} in B"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), title_style="bold")
        for at, header in enumerate(page.columns(found)):
            table.add_column(header, justify="left" if at < 2 else "right", no_wrap=True)
        for row in page.rows(level.differences):
            table.add_row(row[0], Text(row[1], STYLES[row[1]]), *row[2:])
        console.print(table)
        console.print()
    for letter, loads in (("A", found.only_a), ("B", found.only_b)):
        if loads:
            console.print(f"only {letter} has: {', '.join(loads)}", soft_wrap=True)
    console.print(Text(found.covers, "dim"), soft_wrap=True)
