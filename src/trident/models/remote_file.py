"""A file as a hub describes it, and whether a local one is the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

CHUNK_BYTES = 1 << 20


class RemoteFile(NamedTuple):
    """``size_bytes`` is 0 and a sum empty where the hub does not tell. ``git_sha1`` is git's id of the content, which
    Hugging Face has for the files that lie in git itself."""

    size_bytes: int
    sha256: str = ""
    git_sha1: str = ""

    def fault_of(self, file: Path) -> str:
        """Why ``file`` is not this one, in a few words; empty when it is, as far as the hub tells. Reads all of it."""
        if not file.is_file():
            return "it is missing"
        there_bytes = file.stat().st_size
        if self.size_bytes not in (0, there_bytes):
            return f"{there_bytes} bytes instead of {self.size_bytes}"
        if self.sha256:
            return "" if _digest(file, "sha256") == self.sha256.lower() else "its SHA-256 is another"
        if self.git_sha1:
            header = b"blob %d\0" % there_bytes
            return "" if _digest(file, "sha1", header) == self.git_sha1.lower() else "its git sum is another"
        return ""


def _digest(file: Path, name: str, header: bytes = b"") -> str:
    found = hashlib.new(name, header)
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()
