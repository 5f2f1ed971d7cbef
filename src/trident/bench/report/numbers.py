"""Numbers as people read them."""

from __future__ import annotations

import math

NOT_KNOWN = "–"


def tick(value: float) -> str:
    """Short, for an axis: 0.5, 20, 1.5k, 2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            unit = 1e3 if letter == "k" else size
            return f"{_plain(value / unit, 3)}{letter}"
    return _plain(value, 3)


def figure(value: float | None) -> str:
    """Three significant digits or all before the point, thousands apart: 0.123, 12.3, 12,345."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    if value == 0 or abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def percent(share: float | None) -> str:
    """A share of one as per cent: 12.3 %."""
    if share is None or not math.isfinite(share):
        return NOT_KNOWN
    return f"{figure(100 * share)} %"


def change(share: float | None) -> str:
    """A change as a share of what it was, with its sign: +2.5 %."""
    return NOT_KNOWN if share is None or not math.isfinite(share) else f"{100 * share:+.1f} %"


def _plain(value: float, digits: int) -> str:
    """Without an exponent and without zeros that say nothing."""
    text = f"{value:.{digits}g}"
    return f"{float(text):.10f}".rstrip("0").rstrip(".") if "e" in text else text
