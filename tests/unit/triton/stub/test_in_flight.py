from __future__ import annotations

from triton_fakes import Heard

from trident.triton.stub.in_flight import InFlight
from trident.triton.stub.stream import Stream


def begun(in_flight: InFlight, host: int) -> Stream:
    stream = Stream(in_flight.next_id(), host, Heard(), {}, 0.0)
    in_flight.add(stream)
    return stream


def test_request_ends_once_under_whatever_number() -> None:
    in_flight = InFlight()
    stream, other = begun(in_flight, 0), begun(in_flight, 1)
    old = stream.id
    assert in_flight.renumber(stream)
    assert stream.id not in (old, other.id)
    assert old not in in_flight and in_flight.get(stream.id) is stream
    assert in_flight.end(stream)
    assert not in_flight.end(stream) and not in_flight.renumber(stream)
    assert list(in_flight.hosts()) == [1]


def test_requests_are_known_by_their_hosts() -> None:
    in_flight = InFlight()
    first, second = begun(in_flight, 0), begun(in_flight, 1)
    first.host = None
    assert in_flight.at(1) == [second] and in_flight.at(0) == []
    assert list(in_flight.hosts()) == [None, 1]


def test_request_keeps_its_age_whatever_its_number() -> None:
    told: list[tuple[int, ...]] = []
    in_flight = InFlight(lambda *held: told.append(held))
    first, second = begun(in_flight, 0), begun(in_flight, 0)
    assert told == [(1, 1, 1), (1, 2, 2)]
    assert in_flight.renumber(first) and first.id == 3
    in_flight.end(second)
    assert told[-1] == (1, 2, 1)
    third = begun(in_flight, 0)
    assert told[-1] == (1, 4, 2)
    in_flight.end(first)
    assert told[-1] == (4, 4, 1)
    in_flight.end(third)
    assert told[-1] == (0, 0, 0)
    begun(in_flight, 0)
    in_flight.clear()
    assert told[-1] == (0, 0, 0)
