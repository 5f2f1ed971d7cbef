from __future__ import annotations

import pytest

from trident.bench.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.2, "0.2"), (2.5, "2.5"), (1500, "1500"), (10_000, "10k"), (2_500_000, "2.5M"), (3e9, "3G"),
     (0.00002, "0.00002"), (-30, "-30")],
)  # fmt: skip
def test_ticks_are_short(value: float, text: str) -> None:
    assert numbers.tick(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (0, "0"), (0.1234, "0.123"), (12.345, "12.3"), (1234.5, "1,234"), (8.0, "8"),
     (0.00012345, "0.000123")],
)  # fmt: skip
def test_figures_have_three_digits_or_all_before_the_point(value: float | None, text: str) -> None:
    assert numbers.figure(value) == text


def test_shares_and_changes() -> None:
    assert numbers.percent(0.1234) == "12.3 %"
    assert numbers.change(0.056) == "+5.6 %"
    assert numbers.change(None) == "–"
