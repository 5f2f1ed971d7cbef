"""What every hub can do for us, and the download that is the same for all of them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from trident.models.progress import size_text, stored_bytes, watched
from trident.models.remote_file import RemoteFile
from trident.models.selection import has_weights, needed_files

Cause = Literal["absent", "token", "offline", "unreachable", "broken", "space"]
Source = Literal["huggingface", "modelscope"]
Report = Callable[[str], None]
SPARE_BYTES = 200_000_000  # left free on the disk beside the model
ATTEMPTS = 2  # the libraries resume by themselves; the second is for what they give up on, and for wrong sums


class Place(NamedTuple):
    """What is wanted and where: ``revision`` is a branch, tag or commit, the main branch when None; ``folder`` gets the
    files themselves, when None they go into the hub's own cache."""

    revision: str | None = None
    folder: Path | None = None


CACHE = Place()


class Refusal(Exception):
    """A hub did not give the model. ``str()`` is one line a user understands; ``next_step`` is for that cause."""

    def __init__(self, cause: Cause, text: str, next_step: str = "") -> None:
        super().__init__(" ".join(text.split())[:300])
        self.cause = cause
        self.next_step = next_step


def innermost(error: BaseException) -> str:
    """What began a chain of errors, in its own words: the libraries wrap "Connection refused" four times over."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return f"{getattr(error, 'strerror', None) or error or type(error).__name__}"


class Hub(Protocol):
    """One place models come from. Every method but the property raises Refusal, and nothing else of the library."""

    title: str
    source: Source

    def cached(self, model_id: str) -> Path | None:
        """The local copy, complete or not, found without the network."""

    def files(self, model_id: str, revision: str | None = None) -> dict[str, RemoteFile]:
        """Every file of the repository."""

    def storage(self, model_id: str) -> Path:
        """The folder in which ``fetch`` puts the bytes without a folder of ours; it need not exist yet."""

    def fetch(self, model_id: str, files: Mapping[str, RemoteFile], report: Report, place: Place = CACHE) -> Path:
        """Downloads these files, resuming what an earlier run left, and returns the model's folder."""


def download(hub: Hub, model_id: str, data_dir: Path, report: Report, place: Place = CACHE) -> Path:
    """The model's folder after all needed files came from ``hub`` and are what the hub says they are. Raises
    Refusal."""
    wanted = needed_files(hub.files(model_id, place.revision))
    if not has_weights(wanted):
        raise Refusal("broken", "its repository holds no weights that vLLM loads (*.safetensors, *.bin)")
    total_bytes = sum(file.size_bytes for file in wanted.values())
    storage = place.folder or hub.storage(model_id)
    _check_space(storage, total_bytes)
    if place == CACHE:
        expect(data_dir, hub, model_id, {name: file.size_bytes for name, file in wanted.items()})
    report(f"{hub.title}: fetching {model_id}, {len(wanted)} files, {size_text(total_bytes)}, into {storage}")
    with watched(storage, total_bytes, lambda text: report(f"{hub.title}: {model_id}: {text}")):
        folder = _fetched(hub, model_id, wanted, report, place)
    report(f"{hub.title}: {model_id} is complete")
    return folder


def _fetched(hub: Hub, model_id: str, wanted: Mapping[str, RemoteFile], report: Report, place: Place) -> Path:
    """A file that is not what the hub says it is is deleted and fetched once more."""
    for attempt in range(1, ATTEMPTS + 1):
        folder = _fetch(hub, model_id, wanted, report, place)
        faults = {name: fault for name, file in wanted.items() if (fault := file.fault_of(folder / name))}
        if not faults:
            return folder
        for name, fault in faults.items():
            (folder / name).resolve().unlink(missing_ok=True)  # in a cache the name is a link to the content
            (folder / name).unlink(missing_ok=True)
            report(f"{hub.title}: {name}: {fault}; it is deleted")
        if attempt == ATTEMPTS:
            name, fault = next(iter(faults.items()))
            raise Refusal("broken", f"{name} came twice and is not what the hub says ({fault})")
    raise AssertionError("the last attempt returns or raises")


def _fetch(hub: Hub, model_id: str, files: Mapping[str, RemoteFile], report: Report, place: Place) -> Path:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return hub.fetch(model_id, files, report, place)
        except Refusal as refusal:
            if refusal.cause not in ("unreachable", "broken") or attempt == ATTEMPTS:
                raise
            report(f"{hub.title}: {refusal}; going on from where it stopped")
    raise AssertionError("the last attempt returns or raises")


def _check_space(storage: Path, total_bytes: int) -> None:
    missing_bytes = total_bytes - stored_bytes(storage)
    existing = next(folder for folder in (storage, *storage.absolute().parents) if folder.exists())
    free_bytes = shutil.disk_usage(existing).free
    if missing_bytes > 0 and missing_bytes + SPARE_BYTES > free_bytes:
        raise Refusal(
            "space",
            f"needs {size_text(missing_bytes)} more, {size_text(free_bytes)} are free at {existing}",
            f"free some space at {existing}, or move the cache (HF_HOME, MODELSCOPE_CACHE)",
        )


def expect(data_dir: Path, hub: Hub, model_id: str, wanted: Mapping[str, int]) -> None:
    """Notes, before a download, which files make it whole: an interrupted one is then known as such."""
    note = _note(data_dir, hub, model_id)
    note.parent.mkdir(parents=True, exist_ok=True)
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps(wanted), encoding="utf-8")
    partial.replace(note)


def is_as_expected(data_dir: Path, hub: Hub, model_id: str, folder: Path) -> bool:
    """Whether all files noted for this model are there in full; true for a copy that Trident did not fetch."""
    note = _note(data_dir, hub, model_id)
    if not note.is_file():
        return True
    wanted: dict[str, int] = json.loads(note.read_text(encoding="utf-8"))
    return all(_is_whole(folder / name, size_bytes) for name, size_bytes in wanted.items())


def _is_whole(file: Path, size_bytes: int) -> bool:
    return file.is_file() and size_bytes in (0, file.stat().st_size)  # 0: the hub did not tell


def _note(data_dir: Path, hub: Hub, model_id: str) -> Path:
    return data_dir / "pulled" / hub.source / (re.sub(r"[^\w.-]", "--", model_id) + ".json")
