from __future__ import annotations

from collections import Counter

import pytest
from simulated import Simulation

from trident.engine.admission.control import LONGEST_HOLD_S
from trident.engine.admission.limits import Limits


def busy(limits: Limits) -> Simulation:
    """An engine that is given as much as it may have."""
    simulation = Simulation(limits, hold=True)
    for _ in range(limits.max_running):
        simulation.ask(client="first")
    assert simulation.admission.running == limits.max_running and not simulation.admission.waiting
    return simulation


def test_engine_gets_no_more_than_its_limit_and_the_next_when_one_ends() -> None:
    simulation = busy(Limits(2))
    waiting = [simulation.ask() for _ in range(3)]
    assert simulation.admission.waiting.requests == 3
    simulation.finish(simulation.handed_over[0])
    assert simulation.handed_over[2:] == waiting[:1]


def test_beyond_the_queue_a_request_is_refused_with_a_hint() -> None:
    simulation = busy(Limits(1, max_queued_requests=2))
    for _ in range(3):
        simulation.ask()
    ((_, refusal),) = simulation.refusals
    assert (refusal.reason, refusal.message) == ("requests", "overloaded: 2 requests wait; retry after 1 s")
    assert refusal.retry_after_s == 1


def test_no_queue_at_all_still_lets_the_engine_work() -> None:
    simulation = busy(Limits(2, max_queued_requests=0))
    simulation.ask()
    assert len(simulation.handed_over) == 2 and len(simulation.refusals) == 1


@pytest.mark.parametrize("limits", [Limits(1, max_queued_tokens=100), Limits(1, max_queued_bytes=100)])
def test_size_of_what_waits_is_bounded_but_for_one_alone(limits: Limits) -> None:
    simulation = busy(limits)
    simulation.ask(prompt_tokens=1000, size_bytes=1000)
    assert not simulation.refusals
    simulation.ask(prompt_tokens=1, size_bytes=1)
    assert len(simulation.refusals) == 1


def test_request_of_several_sequences_takes_as_many_places_and_frees_them_one_by_one() -> None:
    simulation = Simulation(Limits(3), hold=True)
    several, next_one = simulation.ask(slots=3), simulation.ask()
    several.started()
    several.sequence_ended(1)
    assert simulation.handed_over == [several, next_one] and simulation.admission.running == 3


def test_sequences_are_counted_anew_by_the_intake() -> None:
    simulation = Simulation(Limits(3), hold=True)
    ticket = simulation.ask(slots=1)
    simulation.admission.resize(ticket, 3)
    simulation.ask()
    assert simulation.admission.waiting.requests == 1
    ticket.leave()
    simulation.admission.resize(ticket, 5)
    assert simulation.admission.running == 1


def test_more_are_not_begun_than_may_start_at_once() -> None:
    simulation = Simulation(Limits(100, max_starting=2), hold=True)
    tickets = [simulation.ask() for _ in range(5)]
    assert simulation.handed_over == tickets[:2]
    tickets[0].started()
    assert simulation.handed_over == tickets[:3]


def test_long_prompts_that_start_keep_others_back() -> None:
    simulation = Simulation(Limits(100, max_starting_tokens=200, step_tokens=100), hold=True)
    tickets = [simulation.ask(prompt_tokens=5000) for _ in range(3)]
    assert simulation.handed_over == tickets[:2]
    tickets[0].leave()
    assert simulation.handed_over == tickets


def test_continued_request_never_waits() -> None:
    simulation = busy(Limits(1, max_queued_requests=0))
    continued = simulation.ask(is_continued=True)
    assert simulation.handed_over[-1] is continued and simulation.admission.running == 2


def test_more_urgent_goes_first_and_pushes_out_what_is_less_so() -> None:
    simulation = busy(Limits(1, max_queued_requests=2))
    low, high = simulation.ask(priority=5), simulation.ask(priority=0)
    higher = simulation.ask(priority=-1)
    assert simulation.refused == [low]
    simulation.ask(priority=7)
    assert len(simulation.refused) == 2
    for _ in range(2):
        simulation.finish(simulation.handed_over[-1])
    assert simulation.handed_over[1:] == [higher, high]


def test_client_that_floods_loses_its_newest_and_keeps_others_in() -> None:
    simulation = busy(Limits(1, max_queued_requests=4))
    flood = [simulation.ask(client="flood") for _ in range(6)]
    polite = simulation.ask(client="polite")
    assert simulation.refused == [flood[4], flood[5], flood[3]]
    assert simulation.refusals[-1][1].message == (
        "overloaded: 4 requests wait and this client has the most of them; retry after 1 s"
    )
    simulation.finish(simulation.handed_over[0])
    simulation.finish(flood[0])
    assert simulation.handed_over[-1] is polite


def test_last_request_of_a_client_is_never_pushed_out_by_an_equal() -> None:
    simulation = busy(Limits(1, max_queued_requests=2))
    for client in ("a", "b"):
        simulation.ask(client=client, prompt_tokens=1000)
    small = simulation.ask(client="c")
    assert simulation.refused == [small]


def test_large_request_takes_the_room_of_several_small_ones_of_a_flood() -> None:
    simulation = busy(Limits(1, max_queued_tokens=100))
    flood = [simulation.ask(client="flood", prompt_tokens=10) for _ in range(10)]
    simulation.ask(client="polite", prompt_tokens=25)
    assert simulation.refused == [flood[9], flood[8], flood[7]]
    assert simulation.admission.waiting.tokens == 95


def test_request_that_is_wanted_no_more_leaves_the_queue_and_frees_its_place() -> None:
    simulation = busy(Limits(1, max_queued_requests=1))
    gone = simulation.ask()
    gone.leave()
    gone.leave()
    last = simulation.ask()
    simulation.handed_over[0].leave()
    assert simulation.handed_over[1:] == [last] and not simulation.refusals


def test_who_has_waited_too_long_is_sent_away() -> None:
    simulation = busy(Limits(1, max_queue_wait_s=2.0))
    early = simulation.ask()
    simulation.run(1.5)
    late = simulation.ask()
    simulation.run(2.1)
    simulation.admission.sweep()
    assert simulation.refused == [early] and simulation.refusals[0][1].reason == "wait"
    simulation.run(4)
    simulation.finish(simulation.handed_over[0])
    assert simulation.refused == [early, late] and len(simulation.handed_over) == 1


def test_nothing_is_handed_over_during_a_pause() -> None:
    simulation = Simulation(Limits(5), hold=True)
    simulation.admission.pause()
    ticket = simulation.ask()
    assert not simulation.handed_over
    simulation.admission.resume()
    assert simulation.handed_over == [ticket]


def test_clients_get_equal_shares_of_the_work() -> None:
    simulation = Simulation(Limits(4), slots=4)
    for client, (count, tokens) in {"many": (4000, 10), "long": (400, 100), "mixed": (1000, 40)}.items():
        for _ in range(count):
            simulation.ask(client=client, output_tokens=tokens)
    simulation.run(30)
    work = Counter[str]()
    for ticket, _ in simulation.finished:
        work[ticket.client] += ticket.cost_tokens
    assert jain_index(list(work.values())) > 0.99, work


def test_client_is_not_charged_for_tokens_that_it_allowed_and_the_engine_never_made() -> None:
    simulation = Simulation(Limits(1), hold=True)
    for client in ("generous", "exact"):
        for _ in range(200):
            simulation.ask(client=client, output_tokens=1000 if client == "generous" else 50)
    for _ in range(200):
        simulation.finish(simulation.handed_over[-1], made_tokens=50)
    served = Counter(ticket.client for ticket, _ in simulation.finished)
    assert jain_index(list(served.values())) > 0.95, served


def jain_index(shares: list[int]) -> float:
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares))


def saturated(limits: Limits) -> Simulation:
    """Its queue is full of one client, and how fast the engine is, is known."""
    simulation = Simulation(limits, slots=4)
    for tick in range(4000):
        simulation.at(tick / 100, lambda: simulation.ask(client="flood", output_tokens=10))
    simulation.run(40)
    simulation.refusals.clear()
    return simulation


@pytest.mark.parametrize("limits", [Limits(4, max_queue_wait_s=1.0), Limits(4, max_queued_requests=40)])
def test_refusal_holds_for_a_part_of_the_wait(limits: Limits) -> None:
    simulation = saturated(limits)
    while not simulation.refusals:
        simulation.ask(client="flood", output_tokens=10)
    assert 0.02 <= simulation.refusals[0][1].holds_s <= LONGEST_HOLD_S


def test_refusal_of_a_large_request_does_not_hold_for_smaller_ones() -> None:
    simulation = saturated(Limits(4, max_queue_wait_s=5.0))
    while not simulation.refusals:
        simulation.ask(client="flood", output_tokens=10)
    simulation.refusals.clear()
    simulation.ask(client="polite", output_tokens=100_000)
    ((_, refusal),) = simulation.refusals
    assert refusal.reason == "wait" and refusal.holds_s == 0
