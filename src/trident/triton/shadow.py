"""The user's models in our own repository: links to where they lie, because his folders are never written to.

Python puts its cache beside each module that it imports, and cannot be told otherwise (Triton's stub isolates it). So
folders with Python code are folders here too, with links to the files in them and the cache made beforehand.
"""

from __future__ import annotations

import importlib.util
import py_compile
import shutil
from pathlib import Path

from trident.config.models import Config
from trident.triton import user_models

CACHE = "__pycache__"


def follow(config: Config, repository: Path) -> None:
    """Makes ``repository`` hold the user's models as they are now, beside our own; what has not changed is not touched.

    Raises ConfigurationError."""
    models = user_models.find(config)
    for name, folder in models.items():
        _reflect(folder, repository / name)
    for place in repository.iterdir():
        if place.name not in models and place.name not in config.own_models:
            _remove(place)


def _reflect(source: Path, place: Path) -> None:
    if source.is_symlink() or not source.is_dir() or not _holds_code(source):
        _link(source, place)
        return
    if place.is_symlink():
        place.unlink()
    place.mkdir(exist_ok=True)
    names = {entry.name for entry in source.iterdir() if entry.name != CACHE}
    for gone in [entry for entry in place.iterdir() if entry.name not in names and entry.name != CACHE]:
        _remove(gone)
    for name in names:
        _reflect(source / name, place / name)


def _link(source: Path, place: Path) -> None:
    if place.is_symlink() and place.readlink() == source:
        return
    _remove(place)
    place.symlink_to(source)
    if source.suffix == ".py":
        # A cache that came later would look like a change of the model. Code that cannot be compiled is the stub's to
        # complain about.
        py_compile.compile(str(place), importlib.util.cache_from_source(str(place)), quiet=2)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _holds_code(folder: Path) -> bool:
    return any(
        entry.suffix == ".py" or (entry.is_dir() and not entry.is_symlink() and _holds_code(entry))
        for entry in folder.iterdir()
        if entry.name != CACHE
    )
