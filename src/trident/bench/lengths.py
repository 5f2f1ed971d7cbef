"""How many tokens: ``128``, ``uniform:64:256``, ``normal:128:32``, ``lognormal:128:0.5``."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np

from trident.bench.plan import LengthKind, Lengths
from trident.errors import ConfigurationError

LARGEST = 10_000_000


def parse(flag: str, text: str) -> Lengths:
    """Raises ConfigurationError naming ``flag`` and the forms."""
    head, *numbers = text.split(":")
    try:
        if not numbers:
            return _checked(flag, text, Lengths(a=int(head)))
        if head in get_args(LengthKind)[1:] and len(numbers) == 2:
            return _checked(flag, text, Lengths(kind=head, a=float(numbers[0]), b=float(numbers[1])))  # type: ignore[arg-type]
    except ValueError:
        pass
    raise _wrong(flag, text)


def draw(lengths: Lengths, rng: np.random.Generator) -> int:
    """One number of tokens."""
    if lengths.kind == "uniform":
        return int(rng.integers(int(lengths.a), int(lengths.b) + 1))
    if lengths.kind == "normal":
        return max(lengths.least, round(rng.normal(lengths.a, lengths.b)))
    if lengths.kind == "lognormal":
        return min(LARGEST, max(lengths.least, round(rng.lognormal(math.log(lengths.a), lengths.b))))
    return int(lengths.a)


def _checked(flag: str, text: str, lengths: Lengths) -> Lengths:
    is_range = lengths.kind != "uniform" or lengths.a <= lengths.b <= LARGEST
    if not (1 <= lengths.a <= LARGEST and 0 <= lengths.b < math.inf and is_range):
        raise _wrong(flag, text)
    return lengths


def _wrong(flag: str, text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{flag} {text} is no length",
        f"it is N, uniform:LOW:HIGH, normal:MEAN:STD or lognormal:MEDIAN:SIGMA, in tokens from 1 to {LARGEST}",
        f"for instance {flag} 128",
    )
