from __future__ import annotations

import pytest

from trident.triton.stub.pacing import LONGEST_REST_S, Pacer


def test_first_round_is_due_at_once() -> None:
    assert Pacer(0.2).due_in_s(100.0) == 0


def test_rest_keeps_sending_within_its_share() -> None:
    pacer = Pacer(0.2)
    pacer.sent(10.0, 10.002)
    assert pacer.due_in_s(10.002) == pytest.approx(0.008)
    assert pacer.due_in_s(10.011) == 0


def test_a_whole_core_needs_no_rest() -> None:
    pacer = Pacer(1.0)
    pacer.sent(10.0, 10.5)
    assert pacer.due_in_s(10.5) == 0


def test_rest_is_bounded() -> None:
    pacer = Pacer(0.01)
    pacer.sent(10.0, 11.0)
    assert pacer.due_in_s(11.0) == pytest.approx(LONGEST_REST_S)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        Pacer(share)
