from __future__ import annotations

from pathlib import Path

from trident.protocol import ages
from trident.protocol.ages import Ages


def test_ages_are_read_while_the_stub_lives_and_after_its_death(tmp_path: Path) -> None:
    stub = Ages(tmp_path, 12)
    assert ages.read(tmp_path) == {}
    stub.tell(3, 7, 2)
    assert ages.read(tmp_path) == {12: (3, 7, 2)}
    stub.tell(0, 0, 0)
    assert ages.read(tmp_path) == {}
    stub.tell(8, 8, 1)
    ages.forget(tmp_path, 12)
    assert ages.read(tmp_path) == {}


def test_ages_of_a_stub_that_ends_go_with_it(tmp_path: Path) -> None:
    stub = Ages(tmp_path, 12)
    stub.tell(3, 7, 2)
    stub.close()
    stub.tell(4, 7, 1)
    assert list(tmp_path.iterdir()) == []


def test_times_at_which_requests_came_outlive_the_stub(tmp_path: Path) -> None:
    stub = Ages(tmp_path, 12)
    stub.tell(3, 2000, 3)
    for age, at_s in ((3, 1.5), (4, 2.5), (2000, 3.5)):
        stub.began(age, at_s)
    stub.ended(4)
    assert sorted(ages.begun_s(tmp_path, 12)) == [1.5, 3.5]
    assert ages.begun_s(tmp_path, 13) == []
    stub.close()
    stub.began(5, 1.0)
    assert ages.begun_s(tmp_path, 12) == []


def test_file_of_another_kind_is_left_out(tmp_path: Path) -> None:
    for name in ("stub-x.ages", "stub-9.ages", "stub-9.sock"):
        (tmp_path / name).write_bytes(b"half")
    assert ages.read(tmp_path) == {}
