"""A copy of this installation, broken in one way at a time: does the doctor name it, and does what it says help?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from copied_installation import CopiedInstallation
from real_faults import FAULTS, NotHere

pytestmark = pytest.mark.e2e

SAID = re.compile(
    r"^(?P<level>ok  |WARN|FAIL)  (?P<check>\S+) +(?P<text>.*)(?:\n +why:  (?P<why>.*)\n +next: (?P<fix>.*))?$", re.M
)


class Said(NamedTuple):
    """One finding as people read it."""

    level: str
    check: str
    text: str
    why: str
    fix: str


def findings(output: str) -> list[Said]:
    """All that are not ok. What this very machine is short of is none of the fault."""
    found = (Said(*(part or "" for part in match.groups())) for match in SAID.finditer(output))
    machine = ("limits.processes", "limits.overcommit", "machine.cpu", "machine.memory")
    return [said for said in found if said.level != "ok  " and said.check not in machine]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CopiedInstallation]:
    copied = CopiedInstallation.make(tmp_path_factory.mktemp("copy"))
    yield copied
    copied.heal()


@pytest.fixture
def copied(whole: CopiedInstallation) -> Iterator[CopiedInstallation]:
    yield whole
    whole.heal()


def test_healthy_copy_is_all_ok(copied: CopiedInstallation) -> None:
    examined = copied.trident("doctor")
    assert (findings(examined.stdout), examined.returncode) == ([], 0), examined.stdout
    assert examined.stdout.count("\nok  ") >= 15


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named_with_reason_and_fix(copied: CopiedInstallation, name: str) -> None:
    fault = FAULTS[name]
    try:
        fault.plant(copied)
    except NotHere as reason:
        pytest.skip(str(reason))
    examined = copied.trident("doctor", *(["--fix"] if fault.fix_ends_it else []))
    told = findings(examined.stdout)
    assert [said for said in told if said.check not in (fault.check, *fault.beside)] == []
    named = next(said for said in told if said.check == fault.check)
    assert named.level == ("FAIL" if fault.level == "fail" else "WARN")
    assert fault.why in named.why
    assert fault.fix in named.fix
    if fault.fix_ends_it:
        assert "--fix does it" in named.fix and "done: " in examined.stderr
        assert len(told) == 1, "the second look finds nothing"
        assert examined.returncode == 0
    else:
        assert examined.returncode == (1 if fault.level == "fail" else 0)


def test_damaged_engine_is_given_up_so_that_setup_makes_it_anew(copied: CopiedInstallation) -> None:
    copied.take_away(copied.engine_site / "vllm" / "v1" / "engine" / "core.py")
    stamp = copied.engine / "trident.json"
    copied.write(stamp, stamp.read_text())
    examined = copied.trident("doctor", "--fix", "--quiet")
    assert "declare" in examined.stderr
    assert not stamp.exists()
    assert "incomplete: its installation did not end" in examined.stdout.split("done:")[0]
    assert "next: trident setup" in examined.stdout
