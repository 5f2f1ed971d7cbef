"""Hugging Face, through its own library. The variables are read here, at each call: the library reads them once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from trident.models.hub import CACHE, Place, Refusal, Report, Source, innermost
from trident.models.huggingface_large import WrongContent, fetch_large
from trident.models.progress import warnings_reported, without_bars
from trident.models.remote_file import RemoteFile

LISTING_TIMEOUT_S = 15.0
REVISION = "main"


class HuggingFace:
    """Honours HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and a saved login."""

    title = "Hugging Face"
    source: Source = "huggingface"

    def cached(self, model_id: str) -> Path | None:
        """The snapshot of the main branch in the cache."""
        if not self.storage(model_id).is_dir():
            return None  # without the second that the library takes to import
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            # One pattern only: the library calls a snapshot incomplete whose skipped files are missing.
            found = snapshot_download(
                model_id, cache_dir=_cache_dir(), local_files_only=True, allow_patterns=["config.json"]
            )
        except (LocalEntryNotFoundError, HFValidationError):
            return None
        return Path(found)

    def files(self, model_id: str, revision: str | None = None) -> dict[str, RemoteFile]:
        """Asks the hub's API once."""
        from huggingface_hub import HfApi

        with _translated(model_id):
            info = HfApi(endpoint=_endpoint()).model_info(
                model_id, revision=revision, files_metadata=True, timeout=LISTING_TIMEOUT_S
            )
        found: dict[str, RemoteFile] = {}
        for sibling in info.siblings or []:
            # Of a large file git has only a pointer, whose id says nothing of the content.
            sums = {"sha256": sibling.lfs.sha256} if sibling.lfs else {"git_sha1": sibling.blob_id or ""}
            found[sibling.rfilename] = RemoteFile(sibling.size or 0, **sums)
        return found

    def storage(self, model_id: str) -> Path:
        """The library's layout: ``models--owner--name``."""
        return _cache_dir() / f"models--{model_id.replace('/', '--')}"

    def fetch(self, model_id: str, files: Mapping[str, RemoteFile], report: Report, place: Place = CACHE) -> Path:
        """Resumes after a cut connection, and large files after a killed process too."""
        without_bars()
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        with _translated(model_id), warnings_reported("huggingface_hub", report):
            fetch_large(model_id, files, place.revision or REVISION, self.storage(model_id), place.folder, _endpoint())
            found = snapshot_download(
                model_id,
                revision=place.revision,
                cache_dir=_cache_dir(),
                local_dir=place.folder,
                endpoint=_endpoint(),
                allow_patterns=list(files),
                max_workers=4,
            )
        return Path(found)


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _cache_dir() -> Path:
    if own := os.environ.get("HF_HUB_CACHE"):
        return Path(own).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser() / "hub"


@contextmanager
def _translated(model_id: str) -> Iterator[None]:
    from huggingface_hub import errors

    # The base of the library's HTTP client, whichever client this version uses; hf_xet raises RuntimeError.
    http_error: type[Exception] = getattr(errors, "HTTPError", OSError)
    xet_error: type[Exception] = getattr(errors, "XetDownloadError", OSError)
    try:
        yield
    except (OSError, ValueError, RuntimeError, http_error, xet_error) as error:
        raise _refusal(model_id, error) from error


def _refusal(model_id: str, error: Exception) -> Refusal:
    from huggingface_hub import errors

    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    page = f"{_endpoint() or 'https://huggingface.co'}/{model_id}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    return _said_by_the_hub(error, status, page) or _met_on_the_way(error)


def _said_by_the_hub(error: Exception, status: int | None, page: str) -> Refusal | None:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return Refusal("offline", "HF_HUB_OFFLINE forbids the network", "unset HF_HUB_OFFLINE")
    if isinstance(error, errors.GatedRepoError):
        return Refusal(
            "token",
            f"the model is gated and wants a token (HTTP {status})",
            f"accept its licence at {page}, then set HF_TOKEN",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return Refusal("absent", f"it has no such revision (HTTP {status})", f"see its branches and tags at {page}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return Refusal("absent", f"no such model, or a private one that needs HF_TOKEN (HTTP {status})")
    if isinstance(error, errors.HFValidationError):
        return Refusal("absent", f"not an id it accepts ({error})")
    if status in (401, 403):
        return Refusal("token", f"it refuses the token (HTTP {status})", "set a valid HF_TOKEN, or unset it")
    if status is not None:
        return Refusal("broken", f"it answered HTTP {status}")
    return None


def _met_on_the_way(error: Exception) -> Refusal:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refusal("space", "the disk is full", "free some space, or move the cache with HF_HOME")
    if isinstance(error, WrongContent):
        return Refusal("broken", str(error))
    if isinstance(error, PermissionError):
        return Refusal("broken", f"its cache cannot be written ({error})", "set HF_HOME to a folder of yours")
    return Refusal("unreachable", f"no connection ({innermost(error)})")
