"""Are installed packages as they were installed? Every wheel brings a list of its files with sizes and SHA-256.

``RECORD`` is described in the PyPA specification "Recording installed projects".
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CHUNK_BYTES = 1 << 20


class Damage(NamedTuple):
    """A file that is not as it was installed; ``why`` says how."""

    package: str
    file: Path
    why: str


def damages(site: Path, *, hashes: bool = False) -> Iterator[Damage]:
    """Every file that is missing or has another size, and with ``hashes`` other contents. Some 55,000 files take a
    second, their contents some seconds for each gigabyte. A package without a list (installed in another way) passes.
    """
    for record in sorted(site.glob("*.dist-info/RECORD")):
        package = record.parent.name.removesuffix(".dist-info")
        try:
            rows = list(csv.reader(record.read_text(encoding="utf-8").splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            yield Damage(package, record, f"its list cannot be read ({error})")
            continue
        for row in rows:
            if len(row) == 3 and (why := _damage(os.path.join(site, row[0]), row[1], row[2], hashes=hashes)):  # noqa: PTH118
                yield Damage(package, site / row[0], why)


def _damage(file: str, digest: str, size: str, *, hashes: bool) -> str:
    # The list itself and most compiled files have no digest; where these have one, installing compiled them anew.
    if not digest or file.endswith(".pyc"):
        return ""
    try:
        there_bytes = os.stat(file).st_size  # noqa: PTH116 - 55,000 times: a Path takes three times as long
        if size and there_bytes != int(size):
            return f"{there_bytes} bytes instead of {size}"
        return _wrong_content(Path(file), digest) if hashes else ""
    except OSError as error:
        return error.strerror or str(error)


def _wrong_content(file: Path, digest: str) -> str:
    name, _, wanted = digest.partition("=")
    if name not in hashlib.algorithms_guaranteed:
        return ""
    found = hashlib.new(name)
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            found.update(chunk)
    text = base64.urlsafe_b64encode(found.digest()).rstrip(b"=").decode()
    return "" if text == wanted.rstrip("=") else f"its {name} is another"
