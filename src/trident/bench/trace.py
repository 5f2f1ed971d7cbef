"""A trace: when requests came, and how long they were where it says so. One JSON object a line, with ``at_s`` or with
``timestamp`` in ms, ``input_length`` and ``output_length`` in tokens as in Mooncake's traces."""

from __future__ import annotations

from pathlib import Path

import msgspec

from trident.errors import ConfigurationError


class Line(msgspec.Struct, frozen=True):
    """One request."""

    at_s: float | None = None
    timestamp: float | None = None
    input_length: int | None = None
    output_length: int | None = None

    @property
    def seconds(self) -> float:
        return self.at_s if self.at_s is not None else (self.timestamp or 0.0) / 1e3


def read(path: Path) -> list[Line]:
    """In the order of time. Raises ConfigurationError."""
    try:
        lines = [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines() if line.strip()]
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(
            f"The trace {path} cannot be used", str(error), 'write lines like {"at_s": 0.25} or {"timestamp": 250}'
        ) from error
    if not lines:
        raise ConfigurationError(f"The trace {path} is empty", "it has no line", 'write lines like {"at_s": 0.25}')
    return sorted(lines, key=lambda line: line.seconds)
