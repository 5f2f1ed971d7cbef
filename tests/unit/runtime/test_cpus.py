"""What the system says of CPUs and quotas."""

from __future__ import annotations

from pathlib import Path

import pytest

from trident.runtime import cpus


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups without any bound; this process is in /pods/one."""
    (tmp_path / "pods" / "one").mkdir(parents=True)
    own = tmp_path / "self"
    own.write_text("1:cpu:/elsewhere\n0::/pods/one\n")
    monkeypatch.setattr(cpus, "CGROUPS", tmp_path)
    monkeypatch.setattr(cpus, "OWN_CGROUPS", own)
    return tmp_path


def test_quota_is_the_tightest_on_the_way_to_the_root(groups: Path) -> None:
    assert cpus.quota() is None
    (groups / "pods" / "one" / "cpu.max").write_text("max 100000\n")
    assert cpus.quota() is None
    (groups / "pods" / "cpu.max").write_text("250000 100000\n")
    assert cpus.quota() == 2.5
    (groups / "pods" / "one" / "cpu.max").write_text("50000 100000\n")
    assert cpus.quota() == 0.5


def test_quota_of_the_first_version_is_read(groups: Path) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpus.quota() is None
    (groups / "cpu" / "cpu.cfs_quota_us").write_text("400000\n")
    assert cpus.quota() == 4


def test_quota_is_none_where_nothing_is_told(groups: Path) -> None:
    (groups / "self").unlink()
    (groups / "cpu.max").write_text("nonsense")
    assert cpus.quota() is None


def test_hardware_threads_of_a_core_stand_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "TOPOLOGY", tmp_path)
    for cpu, siblings in ((0, "0,2"), (1, "1,3"), (2, "0,2"), (3, "1,3")):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(f"{siblings}\n")
    assert cpus.physical_cores({3, 2, 1, 0}) == [[0, 2], [1, 3]]
    assert cpus.physical_cores([1, 2, 7]) == [[2], [1], [7]]
