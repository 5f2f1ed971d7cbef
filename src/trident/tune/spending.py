"""Where a search's time went."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trident.tune.records import Record


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds. ``starting_s`` are those of the ``starts`` servers, failed ones included; ``first_start_s`` is the
    first one's, which imports vLLM for all. The rest is without starts."""

    starts: int
    starting_s: float
    first_start_s: float
    looking_s: float
    measuring_s: float
    held_out_s: float
    asking_s: float

    @property
    def total_s(self) -> float:
        """Of the search; what came before and after it is not in."""
        return self.starting_s + self.looking_s + self.measuring_s + self.held_out_s + self.asking_s


def of(records: Sequence[Record]) -> Spending:
    """Sums."""
    starts = [record.start_s or record.took_s for record in records if record.start_s or record.failure is not None]
    after: dict[str, float] = dict.fromkeys(("look", "measure", "held-out", "gate"), 0.0)
    for record in records:
        if record.failure is None or record.start_s:
            after[_kind(record)] += record.took_s - record.start_s
    return Spending(
        starts=len(starts),
        starting_s=sum(starts),
        first_start_s=starts[0] if starts else 0.0,
        looking_s=after["look"],
        measuring_s=after["measure"],
        held_out_s=after["held-out"],
        asking_s=after["gate"],
    )


def _kind(record: Record) -> str:
    if record.step.purpose in ("held-out", "gate"):
        return record.step.purpose
    return "look" if record.step.level is None else "measure"
