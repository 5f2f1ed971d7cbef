"""When what runs is expected to end. Answers that began together end together, and then many places become free at
once: a mean rate knows nothing of that."""

from __future__ import annotations

from bisect import bisect_right, insort

from trident.engine.admission.ticket import Ticket


class Ends:
    """Of the tickets in the engine whose end can be expected. Times are the caller's clock."""

    def __init__(self) -> None:
        self._ends_s: list[float] = []

    def __bool__(self) -> bool:
        """Some end is expected; without any, nobody knows."""
        return bool(self._ends_s)

    def expect(self, ticket: Ticket, end_s: float) -> None:
        """It has been handed over."""
        ticket.ends_s = end_s
        insort(self._ends_s, end_s)

    def forget(self, ticket: Ticket) -> None:
        """It is over; may be said twice."""
        if ticket.ends_s is not None:
            del self._ends_s[bisect_right(self._ends_s, ticket.ends_s) - 1]
            ticket.ends_s = None

    def until(self, time_s: float) -> int:
        """How many are expected to have ended by then; who takes longer than expected is among them."""
        return bisect_right(self._ends_s, time_s)
