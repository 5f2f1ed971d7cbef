"""What every hub can do for us, and the download that is the same for all of them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from trident.models.progress import size_text, stored_bytes, watched
from trident.models.selection import has_weights, needed_files

Cause = Literal["absent", "token", "offline", "unreachable", "broken", "space"]
Source = Literal["huggingface", "modelscope"]
Report = Callable[[str], None]
SPARE_BYTES = 200_000_000  # left free on the disk beside the model
ATTEMPTS = 2  # the libraries resume by themselves; the second is for what they give up on


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

    def files(self, model_id: str) -> dict[str, int]:
        """Every file of the repository with its size in bytes."""

    def storage(self, model_id: str) -> Path:
        """The folder in which ``fetch`` puts the bytes; it need not exist yet."""

    def fetch(self, model_id: str, names: Sequence[str], report: Report) -> Path:
        """Downloads these files, resuming what an earlier run left, and returns the model's folder."""


def download(hub: Hub, model_id: str, data_dir: Path, report: Report) -> Path:
    """The model's folder after all needed files came from ``hub``. Raises Refusal."""
    wanted = needed_files(hub.files(model_id))
    if not has_weights(wanted):
        raise Refusal("broken", "its repository holds no weights that vLLM loads (*.safetensors, *.bin)")
    total_bytes = sum(wanted.values())
    storage = hub.storage(model_id)
    _check_space(storage, total_bytes)
    expect(data_dir, hub, model_id, wanted)
    report(f"{hub.title}: fetching {model_id}, {len(wanted)} files, {size_text(total_bytes)}, into {storage}")
    with watched(storage, total_bytes, lambda text: report(f"{hub.title}: {model_id}: {text}")):
        folder = _fetch(hub, model_id, list(wanted), report)
    report(f"{hub.title}: {model_id} is complete")
    return folder


def _fetch(hub: Hub, model_id: str, names: list[str], report: Report) -> Path:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return hub.fetch(model_id, names, report)
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
