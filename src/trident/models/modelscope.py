"""ModelScope, through its own library."""

from __future__ import annotations

import errno
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from trident.models.hub import CACHE, Place, Refusal, Report, Source, innermost
from trident.models.progress import warnings_reported, without_bars
from trident.models.remote_file import RemoteFile

REVISION = "master"
CONNECT_TIMEOUT_S = 5.0


class ModelScope:
    """Honours MODELSCOPE_CACHE, MODELSCOPE_ENDPOINT, MODELSCOPE_API_TOKEN and a saved login."""

    title = "ModelScope"
    source: Source = "modelscope"

    def cached(self, model_id: str) -> Path | None:
        """The library's cache, in its present layout or an older one."""
        if not _cache_dir().is_dir():
            return None  # without the half second that the library takes to import
        with _translated(), _quiet(lambda _: None):
            from modelscope import snapshot_download
            from modelscope_hub.errors import CacheNotFound

            try:
                return Path(snapshot_download(model_id, cache_dir=_cache_dir(), local_files_only=True))
            except CacheNotFound:
                return None

    def files(self, model_id: str, revision: str | None = None) -> dict[str, RemoteFile]:
        """Asks the hub's API once; the same endpoint is asked that the download takes."""
        with _translated(), _quiet(lambda _: None):
            from modelscope_hub.api import HubApi

            _reach(_endpoint())
            endpoint, token = _access(model_id)
            listed = HubApi(endpoint=endpoint, token=token).list_repo_files(
                model_id, "model", revision=revision or REVISION, recursive=True
            )
        return {file.path: RemoteFile(file.size or 0, sha256=file.sha256 or "") for file in listed}

    def storage(self, model_id: str) -> Path:
        """The library's layout: ``models/owner--name``."""
        return _cache_dir() / "models" / model_id.replace("/", "--")

    def fetch(self, model_id: str, files: Mapping[str, RemoteFile], report: Report, place: Place = CACHE) -> Path:
        """Resumes by itself after a cut connection; checks sizes and SHA-256."""
        with _translated(), _quiet(report):
            from modelscope import snapshot_download

            endpoint, token = _access(model_id)
            return Path(
                snapshot_download(
                    model_id,
                    revision=place.revision or REVISION,
                    # Given both, the library takes the cache.
                    cache_dir=None if place.folder else _cache_dir(),
                    local_dir=os.fspath(place.folder) if place.folder else None,
                    allow_patterns=list(files),
                    endpoint=endpoint,
                    token=token,
                )
            )


def _access(model_id: str) -> tuple[str, str | None]:
    """The endpoint that has the model, and the token; read afresh, where the library keeps what it read first."""
    from modelscope_hub.api import HubApi
    from modelscope_hub.config import HubConfig

    config = HubConfig()
    return HubApi(config).resolve_endpoint_for_read(model_id), config.token


def _endpoint() -> str:
    from modelscope_hub.config import HubConfig

    return str(HubConfig().endpoint)


def _reach(endpoint: str) -> None:
    """Raises OSError when nobody listens there: without a network the library tries for 15 s and then says no more
    than that its time is over. Behind a proxy nothing can be known beforehand."""
    place = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    proxies = getproxies()
    if place.hostname and not (proxies.get(place.scheme) or proxies.get("all")):
        port = place.port or (80 if place.scheme == "http" else 443)
        socket.create_connection((place.hostname, port), CONNECT_TIMEOUT_S).close()


def _cache_dir() -> Path:
    return Path(os.environ.get("MODELSCOPE_CACHE") or "~/.cache/modelscope").expanduser()


@contextmanager
def _quiet(report: Report) -> Iterator[None]:
    without_bars()
    with (
        warnings.catch_warnings(),
        warnings_reported("modelscope", report),
        warnings_reported("modelscope_hub", report),
    ):
        warnings.simplefilter("ignore", FutureWarning)  # MODELSCOPE_DOMAIN still works, the library says it will not
        yield


@contextmanager
def _translated() -> Iterator[None]:
    from modelscope_hub.errors import HubError

    try:
        yield
    except (HubError, OSError, ValueError) as error:
        raise _refusal(error) from error


def _refusal(error: Exception) -> Refusal:
    from modelscope_hub.errors import FileDownloadError, HubError, NotExistError

    if isinstance(error, FileDownloadError) and error.failed_files:
        error = next((failed for failed in error.failed_files.values() if isinstance(failed, Exception)), error)
    if isinstance(error.__cause__, HubError):  # the library hides its own errors behind those of requests
        error = error.__cause__
    status = getattr(error, "status_code", None)
    if isinstance(error, NotExistError) or status == 404:
        return Refusal("absent", "no such model, or a private one that needs MODELSCOPE_API_TOKEN (HTTP 404)")
    if status in (401, 403):
        return Refusal(
            "token", f"the model wants a token (HTTP {status})", "ask for access on its page, set MODELSCOPE_API_TOKEN"
        )
    if status is not None:
        return Refusal("broken", f"it answered HTTP {status}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refusal("space", "the disk is full", "free some space, or move the cache with MODELSCOPE_CACHE")
    if isinstance(error, PermissionError):
        return Refusal("broken", f"its cache cannot be written ({error})", "set MODELSCOPE_CACHE to a folder of yours")
    # The library's own words for a time that is over are Chinese, whatever the user's language is.
    why = "no answer in time" if "Deadline" in type(error).__name__ else innermost(error)
    return Refusal("unreachable", f"no connection ({why})")
