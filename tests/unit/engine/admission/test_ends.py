from __future__ import annotations

from trident.engine.admission.ends import Ends
from trident.engine.admission.ticket import Ticket


def test_ends_are_counted_until_they_are_forgotten() -> None:
    ends = Ends()
    assert not ends and ends.until(9.0) == 0
    early, late, twin = Ticket(), Ticket(), Ticket()
    for ticket, end_s in ((late, 2.0), (early, 1.0), (twin, 2.0)):
        ends.expect(ticket, end_s)
    assert [ends.until(time_s) for time_s in (0.5, 1.0, 1.5, 2.0)] == [0, 1, 1, 3]
    ends.forget(late)
    ends.forget(late)
    assert ends.until(5.0) == 2
    ends.forget(early)
    ends.forget(twin)
    ends.forget(Ticket())
    assert not ends
