from __future__ import annotations

import pytest
from faults import FAULTS
from installation import Installation

from trident.config import load
from trident.doctor import examination
from trident.doctor.finding import Finding
from trident.doctor.patient import Patient
from trident.errors import TridentError


def examined(it: Installation, *, hashes: bool = True) -> list[Finding]:
    try:
        config, error = load(file=it.root / "trident.toml"), None
    except TridentError as problem:
        config, error = None, problem
    return list(examination.examine(Patient(it.data_dir, config, error, site=it.site, hashes=hashes)))


def not_ok(findings: list[Finding]) -> list[tuple[str, str, str]]:
    # What this very machine is short of is none of the fault.
    machine = ("limits.", "machine.cpu", "machine.memory")
    return [
        (one.check, one.level, one.fix) for one in findings if one.level != "ok" and not one.check.startswith(machine)
    ]


def test_healthy_installation_is_all_ok(installation: Installation) -> None:
    findings = examined(installation)
    assert not_ok(findings) == []
    assert len({finding.check for finding in findings}) >= 18


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_fault_is_named_with_its_fix(installation: Installation, name: str) -> None:
    fault = FAULTS[name]
    fault.plant(installation)
    (found,) = not_ok(examined(installation))
    assert found[:2] == (fault.check, fault.level)
    assert fault.fix in found[2]


@pytest.mark.parametrize("name", sorted(name for name, fault in FAULTS.items() if fault.is_mended))
def test_safe_fix_ends_the_fault(installation: Installation, name: str) -> None:
    FAULTS[name].plant(installation)
    (found,) = [one for one in examined(installation) if one.repair]
    assert found.repair is not None
    found.repair.act()
    left = not_ok(examined(installation))
    # The engine is installed anew at the next start, not by the doctor.
    assert [one[0] for one in left] == (["environment.engine"] if "engine file" in name else [])


def test_other_faults_offer_no_repair(installation: Installation) -> None:
    FAULTS["port taken"].plant(installation)
    assert [one.repair for one in examined(installation) if one.level == "fail"] == [None]


def test_changed_file_of_the_same_size_needs_hashes(installation: Installation) -> None:
    FAULTS["engine file changed"].plant(installation)
    assert not_ok(examined(installation, hashes=False)) == []
