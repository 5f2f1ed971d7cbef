"""Who gets which CPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.runtime import core_cpus


def config(core_cpus: int | None = None, **engine: Any) -> Config:
    return Config.model_validate({"runtime": {"core_cpus": core_cpus}, "engine": engine})


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of 16 CPUs, each a physical core, with one GPU; no real name is claimed on this one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(900, 916)))
    monkeypatch.setattr(core_cpus, "machine_gpus", lambda: 1)
    yield


def test_each_core_gets_its_own_and_the_rest_is_everybody_elses() -> None:
    assert core_cpus.divide(range(8), 2, 2) == (((0, 1), (2, 3)), (4, 5, 6, 7))
    assert core_cpus.divide([4, 6, 9], 1, 1) == (((4,),), (6, 9))


@pytest.mark.parametrize(
    ("engine", "cpus", "gpus", "each"),
    [
        ({}, 16, 1, 2),
        ({}, 8, 1, 2),
        ({}, 7, 1, 0),
        ({}, 16, 0, 2),
        ({}, 16, 8, 0),
        ({"data_parallel_size": 2}, 16, 2, 2),
        ({"data_parallel_size": 2}, 15, 2, 0),
        ({"tensor_parallel_size": 2}, 64, 1, 0),
    ],
)
def test_default_on_gpus_needs_cpus_for_each_core_and_no_gpu_left_over(
    engine: dict[str, int], cpus: int, gpus: int, each: int
) -> None:
    assert core_cpus.wanted(config(**engine), "cuda", cpus, gpus) == each
    assert core_cpus.wanted(config(**engine), "cpu", cpus, gpus) == 0


def test_server_with_repositories_shares_by_default(tmp_path: Path) -> None:
    both = Config.model_validate({"model": "demo", "triton": {"model_repository": [str(tmp_path)]}})
    assert core_cpus.wanted(both, "cuda", 64, 1) == 0


def test_setting_is_kept_on_every_build_and_zero_means_none() -> None:
    assert core_cpus.wanted(config(1), "cpu", 3, 0) == 1
    assert core_cpus.wanted(config(0), "cuda", 64, 1) == 0
    assert core_cpus.wanted(config(3, data_parallel_size=2), "cuda", 8, 2) == 3


def test_setting_that_leaves_fewer_than_two_cpus_is_refused_with_the_next_step() -> None:
    with pytest.raises(ConfigurationError) as caught:
        core_cpus.wanted(config(1), "cpu", 2, 0)
    assert caught.value.why == "1 for it and 2 for everything else are needed, and this process may use 2"
    assert "--core-cpus" in caught.value.next_step
    with pytest.raises(ConfigurationError, match="own CPUs") as caught:
        core_cpus.wanted(config(3, data_parallel_size=2), "cuda", 7, 2)
    assert caught.value.why.startswith("2 × 3 for it")


def test_cpus_without_a_model_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no MODEL"):
        Config.model_validate({"model": None, "triton": {"model_repository": ["/models"]}, "runtime": {"core_cpus": 2}})


@pytest.mark.usefixtures("sixteen")
def test_second_server_takes_other_cpus_and_leaves_the_first_ones_alone() -> None:
    first, second = core_cpus.take(config(), "cuda"), core_cpus.take(config(), "cuda")
    try:
        assert (first.of_cores, first.rest) == (((900, 901),), tuple(range(902, 916)))
        assert (second.of_cores, second.rest) == (((902, 903),), tuple(range(904, 916)))
    finally:
        first.release()
        second.release()
    again = core_cpus.take(config(), "cuda")
    again.release()
    assert again == first


@pytest.mark.usefixtures("sixteen")
def test_where_others_have_the_cpus_the_default_shares_and_the_setting_is_refused() -> None:
    first = core_cpus.take(config(13), "cuda")
    try:
        assert core_cpus.take(config(), "cuda") == core_cpus.Shares()
        with pytest.raises(ConfigurationError) as caught:
            core_cpus.take(config(2), "cuda")
        assert "other servers" in caught.value.why
    finally:
        first.release()
    core_cpus.take(config(2), "cuda").release()


@pytest.mark.usefixtures("sixteen")
def test_cpu_build_takes_nothing() -> None:
    assert core_cpus.take(config(), "cpu") == core_cpus.Shares()


def test_only_nvidias_displays_are_counted_as_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vendor, kind in (("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"), ("c", "0x8086", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    monkeypatch.setattr(core_cpus, "PCI_DEVICES", tmp_path)
    assert core_cpus.machine_gpus() == 1
