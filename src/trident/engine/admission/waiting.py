"""All requests that wait, the most urgent priority first, within their bounds."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from typing import NamedTuple

from trident.engine.admission.fair_queue import FairQueue
from trident.engine.admission.limits import Limits
from trident.engine.admission.ticket import Ticket


class Waiting:
    """Counted in ``requests``, ``tokens`` of their prompts and ``size_bytes`` of their messages."""

    def __init__(self, limits: Limits) -> None:
        self.requests = 0
        self.tokens = 0
        self.size_bytes = 0
        self._limits = limits
        self._queues: dict[int, FairQueue] = {}  # by priority; none is empty
        self._priorities: list[int] = []  # the most urgent first

    def __bool__(self) -> bool:
        return bool(self._priorities)

    def push(self, ticket: Ticket) -> None:
        """Whatever the bounds say."""
        queue = self._queues.get(ticket.priority)
        if queue is None:
            queue = self._queues[ticket.priority] = FairQueue()
            insort(self._priorities, ticket.priority)
        queue.push(ticket)
        ticket.is_queued = True
        self._count(ticket, 1)

    def pop(self) -> Ticket:
        """The next one; there must be one."""
        ticket = self._queues[self._priorities[0]].pop()
        self._left(ticket)
        return ticket

    def remove(self, ticket: Ticket) -> None:
        """It waits no more."""
        self._queues[ticket.priority].remove(ticket)
        self._left(ticket)

    def oldest(self) -> Iterator[Ticket]:
        """Of each client and priority; when what is yielded is removed, the next of them follows."""
        for queue in list(self._queues.values()):
            yield from queue.oldest()

    def refund(self, ticket: Ticket, tokens: int) -> None:
        """Its client was charged for tokens that were never made."""
        if ticket.priority in self._queues:
            self._queues[ticket.priority].refund(ticket.client, tokens)

    def ahead_of(self, client: str, priority: int, cost_tokens: int) -> int:
        """Tokens of work that the engine will do before a request that comes now: what is more urgent, and of its
        equals as much of each client as it has itself."""
        ahead = sum(self._queues[urgent].work_tokens for urgent in self._priorities if urgent < priority)
        queue = self._queues.get(priority)
        if queue is not None:
            own = queue.work_of(client) + cost_tokens
            ahead += min(queue.work_tokens, queue.busy_clients * own)
        return ahead

    def bound_for(self, ticket: Ticket) -> str | None:
        """The bound that keeps one out that comes now, by its name in ``REASONS``."""
        return self._bound(ticket, _NOTHING)

    def victims_for(self, ticket: Ticket) -> list[Ticket]:
        """Who has to make room: the newest of what is less urgent, or of an equal client that has more waiting and
        keeps one. Empty when that is not enough."""
        if not self._priorities or self._priorities[-1] < ticket.priority:
            return []
        queue = self._queues[self._priorities[-1]]
        is_equal = self._priorities[-1] == ticket.priority
        own = queue.work_of(ticket.client) + ticket.cost_tokens
        victims: list[Ticket] = []
        freed, left = _NOTHING, -1
        for victim in queue.newest_of_heaviest():
            left = queue.work_of(victim.client) if left < 0 else left
            if is_equal and (victim.client == ticket.client or left <= max(own, victim.cost_tokens)):
                break
            left -= victim.cost_tokens
            victims.append(victim)
            freed = freed.and_of(victim)
            if self._bound(ticket, freed) is None:
                return victims
        return []

    def _bound(self, ticket: Ticket, freed: _Freed) -> str | None:
        limits = self._limits
        requests = self.requests - freed.requests
        if requests >= limits.max_queued_requests:
            return "requests"
        if requests == 0:
            return None  # alone it may wait whatever its size: it would never find more room
        tokens = self.tokens - freed.tokens + ticket.prompt_tokens
        if limits.max_queued_tokens is not None and tokens > limits.max_queued_tokens:
            return "tokens"
        size_bytes = self.size_bytes - freed.size_bytes + ticket.size_bytes
        return "bytes" if size_bytes > limits.max_queued_bytes else None

    def _left(self, ticket: Ticket) -> None:
        ticket.is_queued = False
        if not self._queues[ticket.priority]:
            del self._queues[ticket.priority]
            self._priorities.remove(ticket.priority)
        self._count(ticket, -1)

    def _count(self, ticket: Ticket, sign: int) -> None:
        self.requests += sign
        self.tokens += sign * ticket.prompt_tokens
        self.size_bytes += sign * ticket.size_bytes


class _Freed(NamedTuple):
    requests: int
    tokens: int
    size_bytes: int

    def and_of(self, ticket: Ticket) -> _Freed:
        return _Freed(self.requests + 1, self.tokens + ticket.prompt_tokens, self.size_bytes + ticket.size_bytes)


_NOTHING = _Freed(0, 0, 0)
