"""What a comparison finds: plain data, written as JSON as it stands."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["better", "worse", "noise", "unknown"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure in both runs. ``change`` is B minus A in ``unit``; ``change_share`` is that as a share of A; ``low``
    and ``high`` are the ends of its interval. ``unknown``: too few samples for an interval."""

    metric: str
    statistic: str
    unit: str
    a: float
    b: float
    change: float
    low: float | None
    high: float | None
    verdict: Verdict

    @property
    def change_share(self) -> float | None:
        return self.change / self.a if self.a else None


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One load level that both runs have."""

    load: str
    level: float
    requests_a: int
    requests_b: int
    differences: list[Difference]

    def of(self, verdict: Verdict) -> list[Difference]:
        """Those with this verdict."""
        return [one for one in self.differences if one.verdict == verdict]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``warnings`` say why the two may not be comparable at all; ``only_a`` and ``only_b`` are loads of one alone."""

    a: str
    b: str
    confidence: float
    noise_share: float
    covers: str
    warnings: list[str]
    only_a: list[str]
    only_b: list[str]
    levels: list[Level]
