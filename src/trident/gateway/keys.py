"""The keys that clients may come with: read from a file, kept as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import stat
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

KEY = re.compile(r"[\x21-\x7e]{1,512}")


class Keys:
    """``given`` and those of ``file``, which is read again when it has changed, so that keys can be exchanged while the
    server runs. Raises ValueError when there is something wrong with them."""

    def __init__(self, given: Iterable[str], file: Path | None) -> None:
        self._given = [_digest(checked(key, "an API key").encode()) for key in given]
        self._file = file
        self._seen = _signature(file) if file is not None else ()
        self._listed = [_digest(key.encode()) for key in read(file)] if file is not None else []

    def __bool__(self) -> bool:
        """A key is asked for."""
        return self._file is not None or bool(self._given)

    def accept(self, presented: bytes) -> bool:
        """It is one of them. How long that takes says nothing about the keys: digests are compared, with all keys."""
        self._follow_file()
        digest, is_known = _digest(presented), False
        for known in (*self._given, *self._listed):
            is_known |= hmac.compare_digest(digest, known)
        return is_known

    def _follow_file(self) -> None:
        if self._file is None:
            return
        now = _signature(self._file)
        if now == self._seen:
            return
        self._seen = now
        try:
            self._listed = [_digest(key.encode()) for key in read(self._file)]
        except ValueError as error:
            # The keys that were good a moment ago stay: an editor's half-written file must not shut everybody out.
            log.error("the keys stay as they were: %s", error)
        else:
            log.info("the keys have changed; there are %d in the file", len(self._listed))


def read(file: Path) -> list[str]:
    """The keys of a file: one a line; empty lines and those that begin with # are none.

    Raises ValueError when it cannot be read, others than its owner and group can read it, or it has no key.
    """
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8-sig") if stat.S_ISREG(mode) else None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    if text is None:
        raise ValueError(f"{file} is no file")
    if mode & 0o027:
        raise ValueError(f"{file} can be read or changed by others (mode {stat.S_IMODE(mode):o}); chmod 600 it")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    keys = [checked(line, f"{file}, line {number}") for number, line in lines if line and not line.startswith("#")]
    if not keys:
        raise ValueError(f"{file} has no key in it; write one a line")
    return keys


def checked(key: str, where: str) -> str:
    """The key, if a header can carry it. Raises ValueError, which does not tell the key."""
    if not KEY.fullmatch(key):
        raise ValueError(f"{where} is no key: it should have 1 to 512 ASCII letters, digits and signs, and no spaces")
    return key


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _signature(file: Path) -> tuple[int, ...]:
    """Differs when the file does; empty when it is not there."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
