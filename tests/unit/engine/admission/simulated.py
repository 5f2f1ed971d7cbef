"""An engine with a clock of its own behind an admission, and clients that ask it."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from trident.engine.admission.control import Admission
from trident.engine.admission.limits import Limits
from trident.engine.admission.refusal import Refusal
from trident.engine.admission.ticket import Ticket


class Simulation:
    """Runs ``slots`` sequences at once, each a token in ``token_s``, more or less by up to ``spread``; what more it is
    given waits in it, first come first served. ``hold`` makes it keep what it is given until ``finish``."""

    def __init__(
        self,
        limits: Limits,
        *,
        slots: int = 10**9,
        token_s: float = 0.01,
        spread: float = 0.3,
        hold: bool = False,
    ) -> None:
        self.now_s = 0.0
        self.handed_over: list[Ticket] = []
        self.refusals: list[tuple[Ticket, Refusal]] = []
        self.answers: Counter[Ticket] = Counter()
        self.finished: list[tuple[Ticket, float]] = []
        self.expired: list[Ticket] = []
        self.begun_s: dict[Ticket, float] = {}
        self.admission = Admission(limits, self._take, self._refused, lambda: self.now_s)
        self._slots, self._token_s, self._spread, self._hold = slots, token_s, spread, hold
        self._waiting: list[Ticket] = []
        self._busy: set[Ticket] = set()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.random = random.Random(5)

    def ask(self, **fields: Any) -> Ticket:
        """A request arrives."""
        ticket = Ticket(now_s=self.now_s, **fields)
        if ticket.expires_s is not None and not self._hold:
            self.at(ticket.expires_s, lambda: self._expire(ticket))
        self.admission.enter(ticket)
        return ticket

    def at(self, time_s: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time_s, next(self._order), event))

    def run(self, until_s: float) -> None:
        """Lets the time pass."""
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, event = heapq.heappop(self._events)
            event()
        self.now_s = until_s

    def finish(self, ticket: Ticket, made_tokens: int | None = None) -> None:
        """The engine has made the whole answer."""
        ticket.started()
        while ticket.slots:
            ticket.sequence_ended(made_tokens)
        ticket.leave()
        self.answers[ticket] += 1
        self.finished.append((ticket, self.now_s))

    @property
    def refused(self) -> list[Ticket]:
        return [ticket for ticket, _ in self.refusals]

    def _take(self, ticket: Ticket) -> None:
        self.handed_over.append(ticket)
        if not self._hold:
            self._waiting.append(ticket)
            self._begin()

    def _begin(self) -> None:
        while self._waiting and len(self._busy) < self._slots:
            ticket = self._waiting.pop(0)
            if self.answers[ticket]:
                continue
            self._busy.add(ticket)
            self.begun_s[ticket] = self.now_s
            took_s = ticket.output_tokens * self._token_s * self.random.uniform(1 - self._spread, 1 + self._spread)
            self.at(self.now_s + self._token_s, lambda ticket=ticket: ticket.started())  # type: ignore[misc]
            self.at(self.now_s + took_s, lambda ticket=ticket: self._complete(ticket))  # type: ignore[misc]

    def _complete(self, ticket: Ticket) -> None:
        if ticket in self._busy:
            self._busy.discard(ticket)
            self.finish(ticket)
            self._begin()

    def _expire(self, ticket: Ticket) -> None:
        if not self.answers[ticket]:
            self.answers[ticket] += 1
            self.expired.append(ticket)
            self._busy.discard(ticket)
            ticket.leave()
            self._begin()

    def _refused(self, ticket: Ticket, why: Refusal) -> None:
        self.answers[ticket] += 1
        self.refusals.append((ticket, why))
