from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from trident.protocol.ages import Ages
from trident.supervisor.in_flight import InFlight


@dataclass
class Host:
    serves_stubs: bool


def test_requests_of_living_stubs_in_all_folders_are_in_flight(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        one, two = tmp_path / "one", tmp_path / "two"
        for folder, pid, ages in ((one, os.getpid(), (3, 7, 2)), (two, process.pid, (1, 2, 2))):
            folder.mkdir()
            told = Ages(folder, pid)
            told.tell(*ages)
            told.began(ages[0], 5.0)
        in_flight = InFlight(lambda: [one, two, tmp_path / "none"])
        assert in_flight.now() == {os.getpid(): (3, 7, 2), process.pid: (1, 2, 2)}
        process.kill()
    assert in_flight.now() == {os.getpid(): (3, 7, 2)}
    assert in_flight.bury(process.pid) == (2, (5.0,))
    assert in_flight.bury(process.pid) == (0, ())


def test_requests_move_while_every_engine_serves() -> None:
    hosts = [Host(True), Host(True)]
    in_flight = InFlight(list, lambda: hosts)
    assert in_flight.moves
    hosts[1].serves_stubs = False
    assert not in_flight.moves
