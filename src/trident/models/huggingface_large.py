"""Hugging Face's large files, so that a download that was killed goes on where it stopped.

The hub's library gives each attempt a file of its own and deletes it (huggingface_hub 2.4, ``file_download.py``): it
resumes within one process only, and a killed one begins anew. Here a file grows under the name of its SHA-256, with the
library's own request; once whole it lies where the library looks for it, and the library does the rest.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from trident.models.remote_file import CHUNK_BYTES, RemoteFile

LARGE_BYTES = 4 << 20
AT_ONCE = 4


class WrongContent(OSError):
    """All bytes came and their sum is not the hub's."""


def fetch_large(
    model_id: str,
    files: Mapping[str, RemoteFile],
    revision: str,
    storage: Path,
    folder: Path | None,
    endpoint: str | None,
) -> None:
    """Fetches the large ones of ``files`` into the cache at ``storage``, or into ``folder``; what is there stays.
    Raises what the hub's library raises, and WrongContent."""
    from huggingface_hub.constants import MAX_HTTP_DOWNLOAD_SIZE

    large = {
        name: file
        for name, file in files.items()
        if file.sha256 and LARGE_BYTES <= file.size_bytes <= MAX_HTTP_DOWNLOAD_SIZE
    }
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pull") as pool:
        jobs = []
        for name, file in large.items():
            target = folder / name if folder else storage / "blobs" / file.sha256
            jobs.append(pool.submit(_fetch, model_id, name, file, revision, target, endpoint))
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch(model_id: str, name: str, file: RemoteFile, revision: str, target: Path, endpoint: str | None) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    if target.is_file() and target.stat().st_size == file.size_bytes:
        return  # its sum is compared with all others' at the end
    partial = target.with_name(f"{file.sha256}.trident-partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with _alone(partial) as opened:
        there_bytes = opened.seek(0, 2)
        if there_bytes > file.size_bytes:
            opened.truncate(there_bytes := 0)
            opened.seek(0)
        if there_bytes < file.size_bytes:
            url = hf_hub_url(model_id, name, revision=revision, endpoint=endpoint)
            http_get(url, opened, resume_size=there_bytes, headers=build_hf_headers(), expected_size=file.size_bytes)
        if _sha256(partial) != file.sha256.lower():
            partial.unlink()
            raise WrongContent(f"{name}: its SHA-256 is not the hub's")
        partial.replace(target)


@contextmanager
def _alone(path: Path) -> Iterator[BinaryIO]:
    """The file, open for more, held by nobody else meanwhile: another pull of the same file waits, then finds it."""
    with path.open("ab+", buffering=0) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield opened


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()
