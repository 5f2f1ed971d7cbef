"""How long a search may go on, and where it begins."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Of a search. ``budget_s`` is for everything; the held-out comparison is kept out of what the search may spend.
    ``least_agreement`` is that of the quality gate, for configurations that change the model's numbers."""

    budget_s: float
    seed: int = 0
    first_level: float = 8.0
    most_trials: int = 1000
    least_agreement: float | None = None
