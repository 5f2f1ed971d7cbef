"""``trident pull``: fetch a model without serving it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from trident.cli import show


class Hub(str, Enum):
    auto = "auto"
    huggingface = "huggingface"
    modelscope = "modelscope"


def pull(
    model: Annotated[str, typer.Argument(help="A Hugging Face or ModelScope id, as Qwen/Qwen3-0.6B.")],
    hub: Annotated[Hub, typer.Option(help="Where to ask; auto tries Hugging Face, then ModelScope.")] = Hub.auto,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit. (default the main branch)")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the files. (default the hub's own cache)")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Touch no network: only check what is here.")] = False,
) -> None:
    """Fetch what serving a model needs, going on where an earlier pull stopped, and check every file against the hub's
    sums. Prints the model's folder."""
    from trident.config import paths
    from trident.errors import ConfigurationError
    from trident.models.hub import Place
    from trident.models.pull import pull as fetch

    if offline and (revision or to):
        raise ConfigurationError(
            "--offline goes with neither --revision nor --to",
            "they fetch, and offline does not",
            "leave one of them out",
        )
    place = Place(revision, to.expanduser().absolute() if to else None)
    found = fetch(model, hub.value, paths.data_dir(), place=place, offline=offline, report=show.note)
    served = found.name if place == Place() else found.path
    show.note(f"serve it: trident serve {served}")
    show.line(str(found.path))
