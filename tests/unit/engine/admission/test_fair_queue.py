from __future__ import annotations

from trident.engine.admission.fair_queue import REMEMBERED, FairQueue
from trident.engine.admission.ticket import Ticket


def pushed(queue: FairQueue, client: str, tokens: int = 10) -> Ticket:
    ticket = Ticket(client=client, prompt_tokens=tokens, output_tokens=0)
    queue.push(ticket)
    return ticket


def test_one_clients_requests_keep_their_order() -> None:
    queue = FairQueue()
    tickets = [pushed(queue, "a", tokens) for tokens in (30, 10, 20)]
    assert [queue.pop() for _ in tickets] == tickets and not queue and queue.work_tokens == 0


def test_large_requests_wait_for_as_many_small_ones() -> None:
    queue = FairQueue()
    for _ in range(3):
        pushed(queue, "large", 100)
    for _ in range(30):
        pushed(queue, "small", 10)
    assert [queue.pop().client for _ in range(12)] == ["large", *["small"] * 10, "large"]


def test_client_that_comes_anew_begins_where_the_queue_is() -> None:
    queue = FairQueue()
    for _ in range(20):
        pushed(queue, "old")
    for _ in range(10):
        queue.pop()
    for _ in range(10):
        pushed(queue, "new")
    order = [queue.pop().client for _ in range(10)]
    assert 4 <= order.count("new") <= 6


def test_client_that_asks_one_by_one_gets_no_more_than_its_share() -> None:
    queue = FairQueue()
    for _ in range(50):
        pushed(queue, "many")
    served = []
    for _ in range(20):
        if not queue.work_of("single"):
            pushed(queue, "single")
        served.append(queue.pop().client)
    assert 9 <= served.count("single") <= 11


def test_removed_request_is_never_taken_out() -> None:
    queue = FairQueue()
    tickets = [pushed(queue, client) for client in "aabb"]
    for ticket in (tickets[0], tickets[2], tickets[3]):
        queue.remove(ticket)
    again = pushed(queue, "b")
    assert [queue.pop(), queue.pop()] == [tickets[1], again] and not queue


def test_heaviest_is_found_again_after_it_has_shrunk() -> None:
    queue = FairQueue()
    first = [pushed(queue, "a") for _ in range(4)]
    second = [pushed(queue, "b") for _ in range(3)]
    assert list(queue.newest_of_heaviest()) == first[::-1]
    for ticket in first[1:]:
        queue.remove(ticket)
    assert list(queue.newest_of_heaviest()) == second[::-1]


def test_clients_that_have_gone_are_forgotten() -> None:
    queue = FairQueue()
    for index in range(10 * REMEMBERED):
        ticket = pushed(queue, str(index))
        if index % 2:
            queue.remove(ticket)
        else:
            queue.pop()
    assert len(queue._clients) <= 2 * REMEMBERED and len(queue._line) <= 2 * REMEMBERED
