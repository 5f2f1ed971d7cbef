"""How fast this machine could generate at most: the bytes and operations of the model against what the machine was
measured to do (Williams, Waterman and Patterson 2009).

A step of decoding reads all weights once and the KV cache of every sequence, and multiplies each weight once for each
of them. Prefill, sampling, and everything that is not the model are left out, so this is a bound and no forecast.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec

import trident
from trident.tune.memory import Model

SCRIPT = Path(trident.__file__).parent / "engine" / "machine_rate.py"
TIMEOUT_S = 120.0


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """As measured by ``engine/machine_rate.py``."""

    device: str
    bytes_per_s: float
    operations_per_s: float


class Roofline(msgspec.Struct, frozen=True, kw_only=True):
    """``tokens_per_s`` is the bound for ``sequences`` at once, ``reached_tokens_per_s`` what was measured; ``limit``
    says what bounds it."""

    machine: Machine
    sequences: float
    tokens_per_s: float
    reached_tokens_per_s: float
    limit: str

    @property
    def share(self) -> float:
        """Of the bound that was reached."""
        return self.reached_tokens_per_s / self.tokens_per_s


def measure(python: Path) -> Machine | None:
    """Takes some seconds and wants a quiet machine. None where it cannot be measured."""
    try:
        done = subprocess.run(
            [os.fspath(python), "-I", os.fspath(SCRIPT)], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=TIMEOUT_S, check=True,
        )  # fmt: skip
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=Machine)
    except (OSError, subprocess.SubprocessError, IndexError, msgspec.MsgspecError):
        return None


def of(
    model: Model, machine: Machine, *, sequences: float, context_tokens: float, reached_tokens_per_s: float
) -> Roofline | None:
    """``context_tokens`` is the mean length of a sequence while it is generated. None where the model's size is not
    known."""
    if not model.weights_bytes or sequences <= 0:
        return None
    read_s = (model.weights_bytes + sequences * context_tokens * model.kv_bytes_per_token) / machine.bytes_per_s
    multiply_s = 2 * model.weights_bytes / model.bytes_per_weight * sequences / machine.operations_per_s
    return Roofline(
        machine=machine,
        sequences=sequences,
        tokens_per_s=sequences / max(read_s, multiply_s),
        reached_tokens_per_s=reached_tokens_per_s,
        limit="memory bandwidth" if read_s >= multiply_s else "arithmetic",
    )
