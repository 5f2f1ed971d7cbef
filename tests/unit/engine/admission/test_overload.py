"""The admission before a simulated engine: goodput under ten times the load, and exactly one answer for each."""

from __future__ import annotations

import random
from typing import Any

import pytest
from simulated import Simulation

from trident.engine.admission.limits import Limits
from trident.engine.admission.ticket import Ticket

SLOTS = 16
TOKENS = 60
CAPACITY_PER_S = SLOTS / (TOKENS * 0.01)


def loaded(
    times: float, limits: Limits, *, for_s: float = 60, clients: int = 3, spread: float = 0.3, **fields: Any
) -> Simulation:
    """Random arrivals, ``times`` as many as the engine can answer."""
    simulation = Simulation(limits, slots=SLOTS, spread=spread)
    time_s = 0.0
    while time_s < for_s:
        client = str(simulation.random.randrange(clients))
        fields = {"client": client, "output_tokens": TOKENS, **fields}
        simulation.at(time_s, lambda fields=fields: simulation.ask(**fields))  # type: ignore[misc]
        time_s += simulation.random.expovariate(times * CAPACITY_PER_S)
    for tick in range(int(for_s * 4) + 100):
        simulation.at(tick / 4, simulation.admission.sweep)
    simulation.run(for_s)
    return simulation


def latencies_s(simulation: Simulation) -> list[float]:
    return sorted(end_s - ticket.arrived_s for ticket, end_s in simulation.finished)


@pytest.mark.parametrize(
    ("limits", "timeout_s"),
    [
        (Limits(SLOTS + 4), 3.0),
        (Limits(SLOTS + 4), 1.5),
        (Limits(SLOTS + 4, max_queue_wait_s=2.0), None),
        (Limits(SLOTS + 4, max_queued_requests=50), 5.0),
    ],
    ids=["deadline", "tight deadline", "longest wait", "short queue"],
)
def test_ten_times_the_load_leaves_goodput_and_latency_as_they_were(limits: Limits, timeout_s: float | None) -> None:
    peak = max(len(loaded(times, limits, timeout_s=timeout_s).finished) for times in (0.8, 0.9, 1.0))
    overloaded = loaded(10, limits, timeout_s=timeout_s)
    assert len(overloaded.finished) >= 0.9 * peak
    assert len(overloaded.expired) <= 0.02 * len(overloaded.finished)
    bound_s = timeout_s or 2.0 + 2 * TOKENS * 0.01
    assert latencies_s(overloaded)[int(0.99 * len(overloaded.finished))] <= bound_s


@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_answers_that_end_together_are_followed_at_once_and_in_time(spread: float) -> None:
    limits = Limits(SLOTS + 4, ahead=4, max_queue_wait_s=0.4)
    simulation = loaded(10, limits, spread=spread, clients=1)
    later = [ticket for ticket, _ in simulation.finished if ticket.arrived_s > 10]
    assert len(later) >= 0.95 * 50 * CAPACITY_PER_S
    assert all(simulation.begun_s[ticket] - ticket.arrived_s <= 0.45 for ticket in later)


def test_patient_clients_are_all_served_however_many_come_at_once() -> None:
    simulation = Simulation(Limits(SLOTS + 4), slots=SLOTS)
    for _ in range(5000):
        simulation.ask(output_tokens=TOKENS)
    simulation.run(1000)
    assert len(simulation.finished) == 5000 and not simulation.refusals


def test_first_burst_is_not_judged_by_what_an_idle_engine_did() -> None:
    simulation = Simulation(Limits(SLOTS + 4), slots=SLOTS)
    for second in range(100):
        simulation.at(second, lambda: simulation.ask(output_tokens=TOKENS))
    simulation.run(100)
    for _ in range(60):  # two seconds of work
        simulation.ask(output_tokens=TOKENS, timeout_s=6.0)
    simulation.run(110)
    assert len(simulation.finished) == 160


def test_hint_says_about_how_long_the_queue_is() -> None:
    simulation = loaded(10, Limits(SLOTS + 4, max_queued_requests=int(10 * CAPACITY_PER_S)), clients=1)
    hints_s = [refusal.retry_after_s for _, refusal in simulation.refusals[-100:]]
    assert min(hints_s) >= 8 and max(hints_s) <= 13


def test_polite_client_is_answered_as_if_no_flood_were_there() -> None:
    limits = Limits(SLOTS + 4, max_queued_requests=128)  # the flood waits 5 s
    simulation = Simulation(limits, slots=SLOTS)
    for index in range(60_000):
        simulation.at(index / 1000, lambda: simulation.ask(client="flood", output_tokens=TOKENS))
    for second in range(60):
        simulation.at(second, lambda: simulation.ask(client="polite", output_tokens=TOKENS, timeout_s=2.5))
    simulation.run(70)
    waits_s = [end_s - ticket.arrived_s for ticket, end_s in simulation.finished if ticket.client == "polite"]
    assert len(waits_s) == 60 and max(waits_s) < 2
    assert all(ticket.client == "flood" for ticket in simulation.refused)


@pytest.mark.parametrize("seed", range(20))
def test_every_request_has_exactly_one_end_whatever_happens(seed: int) -> None:
    dice = random.Random(seed)
    limits = Limits(
        dice.randint(1, 6),
        max_queued_requests=dice.randint(0, 12),
        max_queued_tokens=dice.choice([None, 40]),
        max_queue_wait_s=dice.choice([None, 1.0]),
        max_starting=dice.randint(1, 4),
    )
    simulation = Simulation(limits, hold=True)
    asked: list[Ticket] = []
    left: set[Ticket] = set()
    for _ in range(2000):
        simulation.run(simulation.now_s + dice.random() * 0.1)
        running = [ticket for ticket in simulation.handed_over if not simulation.answers[ticket] and ticket not in left]
        action = dice.random()
        if action < 0.5 or not running:
            asked.append(
                simulation.ask(
                    client=dice.choice("abc"),
                    priority=dice.choice([0, 0, 0, 1, -1]),
                    prompt_tokens=dice.randint(1, 30),
                    output_tokens=dice.randint(0, 9),
                    slots=dice.choice([1, 1, 3]),
                    size_bytes=dice.randint(1, 100),
                    timeout_s=dice.choice([None, 0.5, 5.0]),
                    is_continued=dice.random() < 0.05,
                )
            )
        elif action < 0.75:
            simulation.finish(dice.choice(running), dice.choice([None, 3]))
        elif action < 0.85:
            dice.choice(running).started()
        elif action < 0.95:
            gone = dice.choice(asked)
            gone.leave()
            if not simulation.answers[gone]:
                left.add(gone)
        else:
            dice.choice([simulation.admission.sweep, simulation.admission.pause, simulation.admission.resume])()
        check(simulation, limits)
    simulation.admission.resume()
    while running := [
        ticket for ticket in simulation.handed_over if not simulation.answers[ticket] and ticket not in left
    ]:
        simulation.finish(running[0])
    assert all(simulation.answers[ticket] == (ticket not in left) for ticket in asked)
    assert simulation.admission.running == 0 and not simulation.admission.waiting
    assert (simulation.admission.waiting.requests, simulation.admission.waiting.tokens) == (0, 0)


def check(simulation: Simulation, limits: Limits) -> None:
    waiting = simulation.admission.waiting
    assert waiting.requests <= limits.max_queued_requests
    assert limits.max_queued_tokens is None or waiting.tokens <= limits.max_queued_tokens or waiting.requests == 1
    assert simulation.admission.running >= 0
    assert max(simulation.answers.values(), default=1) <= 1
    assert len(simulation.handed_over) == len(set(simulation.handed_over))
    assert not set(simulation.handed_over) & set(simulation.refused)
