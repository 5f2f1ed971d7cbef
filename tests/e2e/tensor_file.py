"""Reads and writes safetensors files with plain code: the tests' environment has no library for them.

See https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Raw(NamedTuple):
    """A tensor as it lies in a file, for types that numpy does not know."""

    dtype: str
    shape: list[int]
    data: bytes


def load(path: Path) -> dict[str, Raw]:
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    return {name: Raw(one["dtype"], one["shape"], data[slice(*one["data_offsets"])]) for name, one in header.items()}


def save(path: Path, tensors: Mapping[str, Raw | np.ndarray[Any, Any]]) -> None:
    """Arrays are written as float32."""
    raw = {name: _raw(tensor) for name, tensor in tensors.items()}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in raw.items():
        end = offset + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(tensor.data for tensor in raw.values()))


def _raw(tensor: Raw | np.ndarray[Any, Any]) -> Raw:
    if isinstance(tensor, Raw):
        return tensor
    return Raw("F32", list(tensor.shape), np.ascontiguousarray(tensor, dtype=np.float32).tobytes())
