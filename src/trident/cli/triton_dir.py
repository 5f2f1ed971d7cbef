"""``trident triton-dir``: a folder from which tritonserver is run by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trident.cli import show


def triton_dir(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or one made by this before.")],
) -> None:
    """Make DIR/bin/tritonserver and DIR/backends/{python,vllm}, for a tritonserver that you start yourself.

    A model with backend: "vllm" then starts its engine with its first instance and stops it with the last.
    """
    import os

    from trident.config.paths import data_dir
    from trident.runtime.control_env import triton_install
    from trident.triton import tree

    install = triton_install(data_dir())
    tree.write(folder, install, os.environ)
    place = folder.absolute()
    show.line(f"Triton is in {place}")
    show.line("")
    show.line("Try:")
    show.line(f"  {place}/bin/tritonserver --model-repository DIRECTORY_OF_MODELS")
