"""Decides which requests the engine gets now, which wait, and which are sent away.

A request that cannot be answered in time is refused at once rather than late, so that an overloaded engine works on
nothing that nobody waits for any more.
"""

from __future__ import annotations

from collections.abc import Callable

from trident.engine.admission import refusal
from trident.engine.admission.ends import Ends
from trident.engine.admission.limits import Limits
from trident.engine.admission.observer import Observer
from trident.engine.admission.pace import Pace
from trident.engine.admission.refusal import Refusal
from trident.engine.admission.service_rate import ServiceRate
from trident.engine.admission.ticket import Ticket
from trident.engine.admission.waiting import Waiting

SERVICE_MARGIN = 1.25
"""Some answers take longer than the average: of those begun at the last moment half would be too late."""
LONGEST_HOLD_S = 0.05
HOLD_SHARE = 1 / 20
"""Of the wait. What the engine takes out of the queue meanwhile is not filled up again until the hold is over."""
SOON_S = 0.1
"""Until a place is free for one that is given to the engine ahead of it."""


class Admission:
    """The queue in front of one engine host. For each ticket that has entered either ``hand_over`` or ``refuse`` is
    called once, unless it leaves before. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        limits: Limits,
        hand_over: Callable[[Ticket], None],
        refuse: Callable[[Ticket, Refusal], None],
        clock: Callable[[], float],
        observer: Observer | None = None,
    ) -> None:
        self.running = 0
        self.waiting = Waiting(limits)
        self._limits = limits
        self._to_engine = hand_over
        self._to_client = refuse
        self._clock = clock
        self._observer = observer
        self._starting = 0
        self._starting_tokens = 0
        self._is_paused = False
        self._rate = ServiceRate(limits.max_running)
        self._ends = Ends()
        self._pace = Pace(limits.max_running, limits.max_tpot_s) if limits.max_tpot_s is not None else None

    @property
    def is_paced(self) -> bool:
        """``stepped`` is of use."""
        return self._pace is not None

    def enter(self, ticket: Ticket) -> None:
        """A new request; one that is continued from another engine was admitted there and never waits."""
        ticket.admission = self
        if ticket.is_continued or (not self.waiting and self._has_room()):
            self._hand_over(ticket)
            return
        why_not = self._futile(ticket, self._wait_s(ticket))
        victims: list[Ticket] = []
        if why_not is None and (bound := self.waiting.bound_for(ticket)) is not None:
            victims = self.waiting.victims_for(ticket)
            if not victims:
                why_not = self._full(bound, ticket)
        if why_not is not None:
            self._refuse(ticket, why_not._replace(holds_s=self._hold_s(ticket, why_not)))
            return
        for victim in victims:
            self._dequeue(victim)
        self.waiting.push(ticket)
        self._queue_changed()
        for victim in victims:
            self._refuse(victim, self._full("displaced", victim))
        self._pump()

    def refused_elsewhere(self, requests: int) -> None:
        """So many were sent away while a refusal held."""
        if self._observer is not None:
            self._observer.refused("held", requests)

    def leave(self, ticket: Ticket) -> None:
        """It is over: answered, refused by the intake, or given up by its client."""
        ticket.admission = None
        self._ends.forget(ticket)
        if ticket.is_queued:
            self._dequeue(ticket)
        elif ticket.handed_over_s is not None:
            self.running -= ticket.slots
            self._has_begun(ticket)
            if ticket.has_started:
                self._rate.left(ticket.cost_tokens, self._clock())
        self._pump()

    def started(self, ticket: Ticket) -> None:
        """The engine has had room for it: whoever is next may be handed over."""
        ticket.has_started = True
        self._has_begun(ticket)
        self._pump()

    def stepped(self, tokens: int) -> None:
        """The engine has made so many in one step, or in several that are told together."""
        if self._pace is not None:
            running = self.running - self._starting
            self._pace.stepped(self._clock(), running=running, tokens=tokens, is_saturated=bool(self.waiting))

    def sequence_ended(self, ticket: Ticket, made_tokens: int | None) -> None:
        """Frees its place before the request's others have ended, and gives back what it was charged too much."""
        self.running -= 1
        ticket.slots -= 1
        unmade = 0 if made_tokens is None else ticket.output_tokens - made_tokens
        if unmade > 0:
            self.waiting.refund(ticket, unmade)
        if ticket.slots == 0 and ticket.handed_over_s is not None:
            self._rate.served(ticket.output_tokens, self._clock() - ticket.handed_over_s)
            self._ends.forget(ticket)
        self._pump()

    def resize(self, ticket: Ticket, slots: int) -> None:
        """The intake has counted its sequences."""
        if ticket.admission is self:
            self.running += slots - ticket.slots
            ticket.slots = slots

    def pause(self) -> None:
        """Nobody is handed over until ``resume``."""
        self._is_paused = True

    def resume(self) -> None:
        """Who waits goes on."""
        self._is_paused = False
        self._pump()

    def sweep(self) -> None:
        """Sends away who has waited too long; to be called a few times a second."""
        for ticket in self.waiting.oldest():
            if (why := self._overdue(ticket)) is not None:
                self._dequeue(ticket)
                self._refuse(ticket, why)

    def _has_room(self) -> bool:
        limits = self._limits
        return (
            not self._is_paused
            and self.running < (limits.max_running if self._pace is None else self._pace.limit)
            and self._starting < limits.max_starting
            and self._starting_tokens < limits.max_starting_tokens
            and (self.running < limits.max_running - limits.ahead or self._is_ahead_of_little())
        )

    def _is_ahead_of_little(self) -> bool:
        waiting_there = self.running - (self._limits.max_running - self._limits.ahead)
        return not self._ends or self._ends.until(self._clock() + SOON_S) > waiting_there

    def _pump(self) -> None:
        while self.waiting and self._has_room():
            ticket = self.waiting.pop()
            self._queue_changed()
            why_not = self._overdue(ticket) or self._futile(ticket, 0.0)
            if why_not is not None:
                self._refuse(ticket, why_not)
            else:
                self._hand_over(ticket)

    def _hand_over(self, ticket: Ticket) -> None:
        ticket.handed_over_s = self._clock()
        ticket.is_starting = True
        self.running += ticket.slots
        self._starting += 1
        if (service_s := self._rate.service_s(ticket.output_tokens)) > 0:
            self._ends.expect(ticket, ticket.handed_over_s + service_s)
        self._starting_tokens += min(ticket.prompt_tokens, self._limits.step_tokens)
        if self._observer is not None:
            self._observer.waited(ticket.waited_s)
        self._to_engine(ticket)

    def _has_begun(self, ticket: Ticket) -> None:
        if ticket.is_starting:
            ticket.is_starting = False
            self._starting -= 1
            self._starting_tokens -= min(ticket.prompt_tokens, self._limits.step_tokens)

    def _refuse(self, ticket: Ticket, why: Refusal) -> None:
        if ticket.admission is None:
            return  # it has left while others were refused
        ticket.admission = None
        if self._observer is not None:
            self._observer.refused(why.reason)
        self._to_client(ticket, why)

    def _dequeue(self, ticket: Ticket) -> None:
        self.waiting.remove(ticket)
        self._queue_changed()

    def _queue_changed(self) -> None:
        self._rate.watch(self._clock(), is_saturated=bool(self.waiting))
        if self._observer is not None:
            self._observer.queue(self.waiting.requests, self.waiting.tokens)

    def _wait_s(self, ticket: Ticket) -> float:
        """Of one that comes now; 0 when nobody can know."""
        ahead = self.waiting.ahead_of(ticket.client, ticket.priority, ticket.cost_tokens)
        return self._rate.wait_s(ahead, self._clock()) or 0.0

    def _hold_s(self, ticket: Ticket, why: Refusal) -> float:
        """How long a request of its client would be refused however small it is."""
        least = self.waiting.ahead_of(ticket.client, ticket.priority, 1)
        wait_s = self._rate.wait_s(least, self._clock()) or 0.0
        limit_s = self._limits.max_queue_wait_s
        holds = why.reason == "requests" or (why.reason == "wait" and limit_s is not None and wait_s > limit_s)
        return min(LONGEST_HOLD_S, HOLD_SHARE * wait_s) if holds else 0.0

    def _futile(self, ticket: Ticket, wait_s: float) -> Refusal | None:
        """Why there is no use in letting it wait so long."""
        limit_s = self._limits.max_queue_wait_s
        if limit_s is not None and wait_s > limit_s and not self._has_places_within(limit_s):
            return refusal.long_wait(wait_s, limit_s)
        if ticket.expires_s is not None:
            needed_s = wait_s + SERVICE_MARGIN * self._rate.service_s(ticket.output_tokens)
            if self._clock() + needed_s > ticket.expires_s:
                return refusal.late(needed_s, ticket.expires_s - ticket.arrived_s, self._wait_s(ticket))
        return None

    def _has_places_within(self, seconds: float) -> bool:
        """For all who wait and one more, whoever is next: answers that began together end together."""
        return self._ends.until(self._clock() + seconds) > self.waiting.requests

    def _overdue(self, ticket: Ticket) -> Refusal | None:
        now_s, limit_s = self._clock(), self._limits.max_queue_wait_s
        if limit_s is not None and now_s - ticket.arrived_s > limit_s:
            return refusal.long_wait(now_s - ticket.arrived_s, limit_s)
        return None

    def _full(self, reason: str, ticket: Ticket) -> Refusal:
        return refusal.full(reason, self.waiting.requests, self._wait_s(ticket))
