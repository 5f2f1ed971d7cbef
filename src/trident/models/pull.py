"""``trident pull``: a model from a hub, whole and checked, whether or not a part of it is here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from trident.errors import ModelNotFound
from trident.models.folder import check_folder
from trident.models.hub import CACHE, Place, Refusal, download
from trident.models.resolve import (
    DEMO,
    Report,
    ResolvedModel,
    hubs_of,
    not_found,
    refuse_what_is_no_id,
    resolve,
)

UNREACHED = ("unreachable", "offline")


def pull(
    model: str,
    hub: Literal["auto", "huggingface", "modelscope"],
    data_dir: Path,
    *,
    place: Place = CACHE,
    offline: bool = False,
    report: Report,
) -> ResolvedModel:
    """Asks the hubs in turn, fetches what is missing of the wanted revision and compares every file with the hub's sum.

    Where no hub can be reached, a complete copy in a cache will do, unless a revision or a folder is asked for. Raises
    ModelNotFound, ModelUnusable.
    """
    folder = Path(model).expanduser()
    if offline or model == DEMO or folder.is_dir():
        return resolve(model, hub, data_dir, offline=True, report=report)
    refuse_what_is_no_id(model, folder)
    hubs = hubs_of(hub)
    said: dict[str, Refusal] = {}
    for one in hubs:
        try:
            fetched = download(one, model, data_dir, report, place)
        except Refusal as refusal:
            said[one.title] = refusal
            report(f"{one.title}: {refusal}")
            continue
        check_folder(fetched)
        return ResolvedModel(fetched, model, one.source)
    error = not_found(model, hubs, said, False)
    if place == CACHE and all(refusal.cause in UNREACHED for refusal in said.values()):
        return _of_cache(model, hub, data_dir, report, error)
    raise error


def _of_cache(
    model: str,
    hub: Literal["auto", "huggingface", "modelscope"],
    data_dir: Path,
    report: Report,
    error: ModelNotFound,
) -> ResolvedModel:
    try:
        found = resolve(model, hub, data_dir, offline=True, report=report)
    except ModelNotFound:
        raise error from None
    report("no hub can be reached; the copy that is here is complete")
    return found
