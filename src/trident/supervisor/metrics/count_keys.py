"""Where the numbers stand in a file of prometheus_client's multiprocess mode (``prometheus_client/mmap_dict.py``).

A key never moves once it is in its file, so each has to be read once only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_INT = struct.Struct("i").unpack_from
FIRST_BYTE = 8
NUMBERS_BYTES = 16
"""A value and, for a gauge, when it was set: two doubles."""


def keys(data: bytes, begin: int) -> Iterator[tuple[bytes, int]]:
    """The keys from ``begin`` on (``FIRST_BYTE``, or where the last number known ends), each with the place of its
    numbers. Raises ValueError where ``data`` ends in the midst of them."""
    used = _INT(data, 0)[0] if data else 0
    while begin < used:
        try:
            length = _INT(data, begin)[0]
        except struct.error as error:
            raise ValueError("it ends in the midst of a key") from error
        start = begin + 4
        place = start + length + 8 - (length + 4) % 8
        begin = place + NUMBERS_BYTES
        if begin > len(data):
            raise ValueError("it ends in the midst of a number")
        yield data[start : start + length], place
