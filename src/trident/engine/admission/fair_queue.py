"""Requests of one priority that wait, taken out so that every client gets its share of the engine's work.

Start-time fair queueing: each client's next request carries a tag, the work that the client has been given so far, and
the smallest tag is next. A client that comes anew begins where the queue is, not at nothing.
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Iterator

from trident.engine.admission.ticket import Ticket

REMEMBERED = 1024
"""Clients without a waiting request whose tags are kept at least."""


class _Client:
    __slots__ = ("credit_tokens", "is_listed", "tag", "tickets", "work_tokens")

    def __init__(self) -> None:
        # Oldest first; a request that is taken back is found without a search.
        self.tickets: OrderedDict[Ticket, None] = OrderedDict()
        self.work_tokens = 0
        self.credit_tokens = 0
        self.tag = 0.0
        self.is_listed = False

    def take(self, ticket: Ticket) -> None:
        del self.tickets[ticket]
        self.work_tokens -= ticket.cost_tokens


class FairQueue:
    """Every operation costs O(log clients) or less; ``oldest`` looks at each client."""

    def __init__(self) -> None:
        self.work_tokens = 0
        self.busy_clients = 0
        self._clients: dict[str, _Client] = {}
        self._line: list[tuple[float, int, _Client]] = []  # a heap with one entry for each listed client
        self._order = itertools.count()
        self._now_served = 0.0  # the tag of what was taken out last
        self._heaviest: _Client | None = None
        self._heaviest_tokens = 0

    def __bool__(self) -> bool:
        return self.busy_clients > 0

    def push(self, ticket: Ticket) -> None:
        """At the end of its client's requests."""
        client = self._clients.get(ticket.client)
        if client is None:
            client = self._clients[ticket.client] = _Client()
        if not client.tickets:
            self.busy_clients += 1
            client.tag = max(client.tag, self._now_served)
            self._list(client)
        client.tickets[ticket] = None
        client.work_tokens += ticket.cost_tokens
        self.work_tokens += ticket.cost_tokens
        if client is self._heaviest:
            self._heaviest_tokens = max(self._heaviest_tokens, client.work_tokens)
        elif self._heaviest is None or client.work_tokens > self._heaviest.work_tokens:
            self._heaviest, self._heaviest_tokens = client, client.work_tokens

    def pop(self) -> Ticket:
        """The next one; there must be one. Its client is charged with its cost."""
        while True:
            tag, _, client = heapq.heappop(self._line)
            client.is_listed = False
            if client.tickets:
                break  # others have had their requests taken back
        ticket = next(iter(client.tickets))
        self._now_served = tag
        paid = min(client.credit_tokens, ticket.cost_tokens - 1)
        client.credit_tokens -= paid
        client.tag = tag + ticket.cost_tokens - paid
        self._take(client, ticket)
        if client.tickets:
            self._list(client)
        self._forget_some()
        return ticket

    def remove(self, ticket: Ticket) -> None:
        """It waits no more."""
        self._take(self._clients[ticket.client], ticket)
        self._forget_some()

    def refund(self, name: str, tokens: int) -> None:
        """The client was charged for tokens that were never made."""
        client = self._clients.get(name)
        if client is not None:
            client.credit_tokens += tokens

    def work_of(self, name: str) -> int:
        """Tokens of work that the client has waiting."""
        client = self._clients.get(name)
        return 0 if client is None else client.work_tokens

    def newest_of_heaviest(self) -> Iterator[Ticket]:
        """What the client with (nearly) the most waiting work has here, newest first; not to be changed meanwhile."""
        heaviest = self._heaviest
        if heaviest is None or not heaviest.tickets or 2 * heaviest.work_tokens < self._heaviest_tokens:
            # Looked for anew only when the one that was found has shrunk to half, so that it costs next to nothing.
            heaviest = max(self._clients.values(), key=lambda client: client.work_tokens)
            self._heaviest, self._heaviest_tokens = heaviest, heaviest.work_tokens
        return iter(reversed(heaviest.tickets))

    def oldest(self) -> Iterator[Ticket]:
        """Each client's oldest; what is yielded may be removed."""
        for client in [client for client in self._clients.values() if client.tickets]:
            while client.tickets:
                ticket = next(iter(client.tickets))
                yield ticket
                if ticket in client.tickets:
                    break

    def _list(self, client: _Client) -> None:
        # One that is listed already has its tag unchanged: a smaller one than is served would have been taken out.
        if not client.is_listed:
            client.is_listed = True
            heapq.heappush(self._line, (client.tag, next(self._order), client))

    def _take(self, client: _Client, ticket: Ticket) -> None:
        client.take(ticket)
        self.work_tokens -= ticket.cost_tokens
        if not client.tickets:
            self.busy_clients -= 1

    def _forget_some(self) -> None:
        if len(self._clients) > 2 * self.busy_clients + REMEMBERED:
            self._clients = {name: client for name, client in self._clients.items() if client.tickets}
            self._line = [entry for entry in self._line if entry[2].tickets]
            heapq.heapify(self._line)
