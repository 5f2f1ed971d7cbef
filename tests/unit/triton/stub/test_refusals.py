from __future__ import annotations

from trident.protocol.messages import Rejected
from trident.triton.stub import refusals
from trident.triton.stub.refusals import Refusals


def heard(*, client: str = "a", priority: int = 0, holds_s: float = 0.05) -> Refusals:
    found = Refusals()
    found.hear(0, client, priority, Rejected(1, "overloaded", "later", 1.0, holds_s), 10.0)
    return found


def test_refusal_holds_for_its_time_and_no_longer() -> None:
    found = heard()
    assert found.standing(0, "a", 0, 10.04) == "later"
    assert found.standing(0, "a", 0, 10.06) is None


def test_refusal_is_for_its_host_and_its_client() -> None:
    found = heard()
    assert found.standing(1, "a", 0, 10.0) is None
    assert found.standing(0, "b", 0, 10.0) is None


def test_more_urgent_request_is_not_held_back() -> None:
    found = heard(priority=3)
    assert found.standing(0, "a", 2, 10.0) is None
    assert found.standing(0, "a", 4, 10.0) == "later"


def test_refusal_that_does_not_hold_is_not_remembered() -> None:
    assert heard(holds_s=0.0).standing(0, "a", 0, 10.0) is None


def test_clients_with_many_names_take_no_memory() -> None:
    found = Refusals()
    for number in range(2 * refusals.MOST_CLIENTS):
        found.hear(0, str(number), 0, Rejected(1, "overloaded", "later", 1.0, 0.05), 10.0)
    assert found.standing(0, "1", 0, 10.0) == "later"
    assert found.standing(0, str(2 * refusals.MOST_CLIENTS - 1), 0, 10.0) is None
    found.hear(0, "late", 0, Rejected(1, "overloaded", "later", 1.0, 0.05), 11.0)
    assert found.standing(0, "late", 0, 11.0) == "later"
