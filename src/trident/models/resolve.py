"""``MODEL`` → a folder: the demo, a folder of the user's, or an id looked up in the local caches, then in the hubs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trident.errors import ModelNotFound, ModelUnusable
from trident.models.folder import check_folder
from trident.models.hub import Hub, Refusal, download, is_as_expected
from trident.models.huggingface import HuggingFace
from trident.models.modelscope import ModelScope

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*")
# A page of a hub, or an id with a slash too many.
ADDRESS = re.compile(rf"https?://[^/]+/(?:models/)?({MODEL_ID.pattern})(?:[/?#].*)?|({MODEL_ID.pattern})/+")
DEMO = "demo"
DEMO_FOLDER = Path(__file__).parent / DEMO
Report = Callable[[str], None]


@dataclass(frozen=True)
class ResolvedModel:
    """A checked folder, and the name under which clients ask for the model."""

    path: Path
    name: str
    source: Literal["demo", "folder", "huggingface", "modelscope"]


def resolve(
    model: str,
    hub: Literal["auto", "huggingface", "modelscope"],
    data_dir: Path,
    *,
    offline: bool,
    report: Report,
    needs_weights: bool = True,
) -> ResolvedModel:
    """The model's folder, fetched if need be, and checked; a folder of the user's is one without weights too, unless it
    ``needs_weights``.

    ``report`` gets one line for each event, also from another thread. With ``offline`` no connection is opened.
    Raises ModelNotFound, or ModelUnusable when the files are there and cannot be served.
    """
    if model == DEMO:
        check_folder(DEMO_FOLDER)
        return ResolvedModel(DEMO_FOLDER, DEMO, "demo")
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        check_folder(folder, needs_weights=needs_weights)
        return ResolvedModel(folder.absolute(), folder.name or folder.resolve().name or "model", "folder")
    refuse_what_is_no_id(model, folder)
    return _from_hubs(model, hubs_of(hub), data_dir, offline, report)


def hubs_of(choice: Literal["auto", "huggingface", "modelscope"]) -> list[Hub]:
    """In the order in which they are asked."""
    known: tuple[Hub, ...] = (HuggingFace(), ModelScope())
    return [hub for hub in known if choice in ("auto", hub.source)]


def refuse_what_is_no_id(model: str, folder: Path) -> None:
    """Raises ModelNotFound or ModelUnusable, with what is wrong with it, unless ``model`` can be an id of a hub."""
    if model and folder.is_file():
        raise ModelUnusable(
            f"Cannot use the model {model}",
            "it is a file, and a model is a folder with config.json, weights and a tokenizer",
            f"give its folder: {folder.parent}",
        )
    looks_like_path = model.startswith(("/", ".", "~")) or "\\" in model
    if not looks_like_path and MODEL_ID.fullmatch(model):
        return
    if inside := ADDRESS.fullmatch(model):
        raise ModelNotFound(f"There is no model {model}", "it is no id", f"write {inside[1] or inside[2]}")
    if looks_like_path or "/" in model:
        raise ModelNotFound(
            f"There is no model {model}", f"the folder does not exist{_beside(folder)}", "give its path"
        )
    hint = "; did you mean demo?" if difflib.get_close_matches(model, [DEMO]) else ""
    raise ModelNotFound(
        f"There is no model {model!r}",
        f"it is neither demo, nor a folder here, nor an id like owner/name{hint}",
        "give a folder, or an id like Qwen/Qwen3-0.6B",
    )


def _beside(folder: Path) -> str:
    """The nearest name in the same place, when a letter is wrong; which part of the path ends, when it ends early."""
    parent = folder.absolute().parent
    if not parent.is_dir():
        existing = next(above for above in parent.parents if above.is_dir())
        return f", and {existing} holds no {parent.relative_to(existing).parts[0]}"
    try:
        close = difflib.get_close_matches(folder.name, [entry.name for entry in parent.iterdir()], n=1)
    except PermissionError:
        return f", and {parent} cannot be read"
    return f"; did you mean {close[0]}?" if close else ""


def _from_hubs(model: str, hubs: Sequence[Hub], data_dir: Path, offline: bool, report: Report) -> ResolvedModel:
    said: dict[str, Refusal] = {}
    for hub in hubs:
        if found := _local(hub, model, data_dir, said):
            report(f"{model} is in the cache of {hub.title}")
            return found
    for hub in () if offline else hubs:
        try:
            folder = download(hub, model, data_dir, report)
        except Refusal as refusal:
            said[hub.title] = refusal
            report(f"{hub.title}: {refusal}")
            continue
        check_folder(folder)
        return ResolvedModel(folder, model, hub.source)
    raise not_found(model, hubs, said, offline)


def _local(hub: Hub, model: str, data_dir: Path, said: dict[str, Refusal]) -> ResolvedModel | None:
    try:
        folder = hub.cached(model)
        if folder is None:
            said[hub.title] = Refusal("offline", "not in its cache")
            return None
        check_folder(folder)
        if is_as_expected(data_dir, hub, model, folder):
            return ResolvedModel(folder, model, hub.source)
        said[hub.title] = Refusal("offline", f"the copy in {folder} is incomplete")
    except ModelUnusable as error:
        said[hub.title] = Refusal("offline", f"the copy in its cache is incomplete ({error.why})")
    except Refusal as refusal:
        said[hub.title] = refusal
    return None


def not_found(model: str, hubs: Sequence[Hub], said: dict[str, Refusal], offline: bool) -> ModelNotFound:
    """The error for what each of the hubs said."""
    why = "; ".join(f"{hub.title}: {said[hub.title]}" for hub in hubs)
    if offline:
        return ModelNotFound(
            f"The model {model} is not on this machine, and Trident is offline",
            why,
            "start once with a network and without offline, or give a folder",
        )
    causes = {refusal.cause for refusal in said.values()}
    steps = [refusal.next_step for refusal in said.values() if refusal.next_step]
    if not steps and "unreachable" in causes:
        steps = ["check the network and HTTPS_PROXY, set HF_ENDPOINT to a mirror, or give a folder"]
    if not steps and "broken" in causes:
        steps = ["try again later, or give a folder"]
    return ModelNotFound(
        f"Cannot get the model {model}", why, " or ".join(steps) or "check the spelling of the id, or give a folder"
    )
