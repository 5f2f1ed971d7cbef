"""``trident repo export``: a model repository for a tritonserver that is not ours."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trident.cli import show
from trident.cli.passed_through import PassThroughCommand

if TYPE_CHECKING:
    from trident.config.engine_arguments import Given

COMMAND_SETTINGS = {
    "cls": PassThroughCommand,
    "epilog": "Any other --option is an engine argument of vLLM, for instance --max-model-len 4096.",
}


class Action(str, Enum):
    export = "export"


class Flavour(str, Enum):
    python = "python"
    vllm = "vllm"


def repo(
    ctx: typer.Context,
    action: Annotated[Action, typer.Argument(help="export writes a repository.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where it is written; missing or empty.")],
    model: Annotated[str | None, typer.Argument(help="As for trident serve. (default demo)")] = None,
    flavour: Annotated[
        Flavour, typer.Option(help="python: Trident in any tritonserver; vllm: for Triton's own vLLM backend.")
    ] = Flavour.python,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file. (default trident.toml)")] = None,
) -> None:
    """Write a repository that a stock tritonserver loads."""
    from trident.cli.serve import with_engine_arguments
    from trident.triton import export

    del action  # there is one
    given: Sequence[Given] = ctx.obj or ()
    resolved = with_engine_arguments({"model": model or "demo"}, config, given)
    place = folder.expanduser().absolute()
    names = export.write(place, resolved, _portable(resolved.model or "demo", flavour), flavour.value)
    show.line(f"{place} holds {', '.join(names)}")
    show.line("")
    show.line("Load it:")
    show.line(f"  tritonserver --model-repository {place}")


def _portable(model: str, flavour: Flavour) -> str:
    """What ``model.json`` says: an id as it is, a folder from its root. Raises ModelNotFound, ModelUnusable."""
    from trident.config import paths
    from trident.models.resolve import DEMO, MODEL_ID, resolve

    is_folder = Path(model).expanduser().is_dir()
    if MODEL_ID.fullmatch(model) and not is_folder:
        return model
    found = resolve(model, "auto", paths.data_dir(), offline=True, report=show.note)
    return model if model == DEMO and flavour is Flavour.python else str(found.path)
