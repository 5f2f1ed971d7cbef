"""``trident bench report``: result folders as HTML pages, and their plots as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trident.cli import show


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders that `trident bench run` made.")],
    png: Annotated[bool, typer.Option("--png", help="Write each plot as plots/NAME.png, too.")] = False,
) -> None:
    """Write report.html into result folders: one file that needs nothing else."""
    from trident.bench import report as writer

    for folder in folders:
        show.line(str(writer.write(folder)))
        if png:
            for picture in writer.write_pictures(folder):
                show.line(str(picture))
