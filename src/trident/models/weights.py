"""Are weight files whole? Answered from their first bytes and their sizes: nothing is loaded."""

from __future__ import annotations

import json
from pathlib import Path

from trident.errors import ModelUnusable

LARGEST_HEADER_BYTES = 100_000_000  # the safetensors library's own limit
LFS_POINTER = b"version https://git-lfs"
FETCH_AGAIN = "fetch that file again"


def check_weights_file(file: Path) -> None:
    """Raises ModelUnusable when ``file`` is empty, cut short, a git-lfs pointer or not what its name says."""
    try:
        size_bytes = file.stat().st_size
        with file.open("rb") as opened:
            start = opened.read(len(LFS_POINTER))
            if start == LFS_POINTER:
                raise unusable(file, "it is a git-lfs pointer, not the weights", "run git lfs pull in that folder")
            if size_bytes == 0:
                raise unusable(file, "the file is empty", FETCH_AGAIN)
            if file.suffix == ".gguf" and start[:4] != b"GGUF":
                raise unusable(file, "it does not begin as a GGUF file does", FETCH_AGAIN)
            if file.suffix == ".safetensors":
                opened.seek(0)
                header_bytes = int.from_bytes(opened.read(8), "little")
                header = opened.read(header_bytes) if header_bytes <= LARGEST_HEADER_BYTES else b""
                _check_safetensors(file, size_bytes, header_bytes, header)
    except OSError as error:
        raise unreadable(file, error) from error


def _check_safetensors(file: Path, size_bytes: int, header_bytes: int, header: bytes) -> None:
    expected_bytes = 8 + header_bytes
    if size_bytes >= expected_bytes and len(header) == header_bytes:
        try:
            tensors = json.loads(header)
            ends = [int(tensor["data_offsets"][1]) for name, tensor in tensors.items() if name != "__metadata__"]
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise unusable(file, f"its safetensors header cannot be read ({error!r})", FETCH_AGAIN) from error
        expected_bytes += max(ends, default=0)
    elif header_bytes > LARGEST_HEADER_BYTES:
        raise unusable(file, f"its safetensors header claims {header_bytes} bytes", FETCH_AGAIN)
    if size_bytes != expected_bytes:
        kind = "cut short" if size_bytes < expected_bytes else "too long"
        raise unusable(file, f"it is {kind}: {expected_bytes} bytes expected, {size_bytes} there", FETCH_AGAIN)


def unusable(file: Path, why: str, next_step: str) -> ModelUnusable:
    """The error for one file of a model."""
    return ModelUnusable(f"Cannot use the model in {file.parent}", f"{file.name}: {why}", next_step)


def unreadable(file: Path, error: OSError) -> ModelUnusable:
    """The error for a file that the operating system refuses to read."""
    why = f"cannot be read ({error.strerror or error})"
    if isinstance(error, PermissionError):
        return unusable(file, why, f"give yourself the right to read it: chmod -R u+rX {file.parent}")
    return unusable(file, why, FETCH_AGAIN)
