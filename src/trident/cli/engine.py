"""``trident engine``: vLLM's environments, side by side."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from trident.cli import show

if TYPE_CHECKING:
    from trident.runtime.engines import Engine

app = typer.Typer(help="Show, choose and remove vLLM's environments.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="As trident engine list names it.")]


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """All environments; the used one is what the next start takes."""
    from trident.config.paths import data_dir
    from trident.runtime import engines

    found = engines.engines(data_dir())
    if as_json:
        show.line(json.dumps([_described(one) for one in found], indent=2))
        return
    rows = [("NAME", "VLLM", "BUILD", "PYTHON", "SIZE", "MADE", "")]
    for one in found:
        size = f"{engines.size_bytes(one.path) / 2**30:.1f} GiB"
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.made))
        rows.append((one.name, one.vllm_version, one.build, one.python_version, size, made, _words(one)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        show.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not found:
        show.note("there is none; trident setup makes one")


@app.command()
def use(name: Annotated[str, typer.Argument(help="One of trident engine list, or default: that of the pins.")]) -> None:
    """Choose what the next start takes. Servers that run keep theirs until they are started anew."""
    from trident.config.paths import data_dir
    from trident.runtime import engines

    chosen = engines.use(name, data_dir())
    if chosen is None:
        show.line(f"vLLM {_pinned()}, which this Trident is made for, is used again")
        return
    show.line(f"{chosen.name} is used from the next start on")
    if not chosen.is_pinned:
        show.note(
            f"this Trident is made for vLLM {_pinned()} and tested with no other; back: trident engine use default"
        )


@app.command()
def remove(name: Name) -> None:
    """Delete an environment that is not used."""
    from trident.config.paths import data_dir
    from trident.runtime import engines

    show.line(f"{engines.remove(name, data_dir()).name} is removed")


def _pinned() -> str:
    from trident.runtime.pins import VLLM_VERSION

    return VLLM_VERSION


def _words(one: Engine) -> str:
    if one.is_used:
        return "used"
    return f"cannot be used: {one.lacks}" if one.lacks else f"kept; trident engine use {one.name}"


def _described(one: Engine) -> dict[str, object]:
    return {
        "name": one.name,
        "path": str(one.path),
        "vllm": one.vllm_version,
        "build": one.build,
        "python": one.python_version,
        "made": one.made,
        "pinned": one.is_pinned,
        "used": one.is_used,
        "lacks": one.lacks,
    }
