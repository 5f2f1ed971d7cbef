"""Who gets which CPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.runtime import core_cpus, cpus


def config(core_cpus: int | None = None, **engine: Any) -> Config:
    return Config.model_validate({"runtime": {"core_cpus": core_cpus}, "engine": engine})


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of 16 CPUs, each a physical core, with one GPU; no real name is claimed on this one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(900, 916)))
    monkeypatch.setattr(core_cpus, "machine_gpus", lambda: 1)
    monkeypatch.setattr(cpus, "quota", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
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


def test_server_with_repositories_shares_by_default(tmp_path: Path) -> None:
    both = Config.model_validate({"model": "demo", "triton": {"model_repository": [str(tmp_path)]}})
    assert core_cpus.wanted(both, "cuda", 64, 1) == 0


def test_setting_is_kept_on_every_build_and_zero_means_none() -> None:
    assert core_cpus.wanted(config(1), "cpu", 3, 0) == 1
    assert core_cpus.wanted(config(0), "cuda", 64, 1) == 0
    assert core_cpus.wanted(config(3, data_parallel_size=2), "cuda", 8, 2) == 3


def test_setting_that_leaves_too_few_cpus_is_refused_with_the_next_step() -> None:
    with pytest.raises(ConfigurationError) as caught:
        core_cpus.wanted(config(1), "cuda", 2, 0)
    assert caught.value.why == "1 for it and 2 for everything else are needed, and this process may use 2"
    assert core_cpus.wanted(config(1), "cpu", 2, 0) == 1
    with pytest.raises(ConfigurationError, match="own CPUs") as caught:
        core_cpus.wanted(config(2), "cpu", 2, 0)
    assert caught.value.why.startswith("2 for it and 1 for everything else")
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
def test_cpu_engine_gets_all_cores_but_one_and_a_thread_for_each() -> None:
    alone = core_cpus.take(config(), "cpu")
    second = core_cpus.take(config(), "cpu")
    alone.release()
    assert (alone.of_cores, alone.rest) == ((tuple(range(900, 915)),), (915,))
    assert core_cpus.threads(config(), alone) == 15
    assert second == core_cpus.Shares()
    pair = core_cpus.take(config(data_parallel_size=2), "cpu")
    pair.release()
    assert (pair.of_cores, pair.rest) == ((tuple(range(900, 907)), tuple(range(907, 914))), (914, 915))
    assert core_cpus.threads(config(data_parallel_size=2), pair) == 7


@pytest.mark.usefixtures("sixteen")
def test_cpu_engine_gets_both_hardware_threads_of_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "physical_cores", lambda numbers: [[n, n + 8] for n in sorted(numbers) if n < 908])
    shares = core_cpus.take(config(), "cpu")
    shares.release()
    assert shares.rest == (907, 915)
    assert core_cpus.threads(config(), shares) == 7


@pytest.mark.usefixtures("sixteen")
@pytest.mark.parametrize(
    ("quota", "environ", "engine", "threads"),
    [
        (4.0, {}, {}, 3),
        (0.5, {}, {}, 1),
        (None, {"OMP_NUM_THREADS": "16"}, {}, 0),
        (None, {}, {"tensor_parallel_size": 2}, 15),
        (None, {}, {"data_parallel_size": 16}, 1),
    ],
)
def test_cpu_engine_shares_where_its_cpus_are_not_its_own_to_choose(
    quota: float | None,
    environ: dict[str, str],
    engine: dict[str, int],
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpus, "quota", lambda: quota)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert core_cpus.take(config(**engine), "cpu") == core_cpus.Shares()
    assert core_cpus.threads(config(**engine)) == threads


@pytest.mark.usefixtures("sixteen")
def test_cpu_engine_computes_on_what_the_setting_gives_it() -> None:
    setting = core_cpus.take(config(4), "cpu")
    setting.release()
    assert (setting.of_cores, core_cpus.threads(config(4), setting)) == (((900, 901, 902, 903),), 4)


def test_only_nvidias_displays_are_counted_as_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, vendor, kind in (("a", "0x10de", "0x030200"), ("b", "0x10de", "0x040300"), ("c", "0x8086", "0x030000")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(f"{vendor}\n")
        (tmp_path / name / "class").write_text(f"{kind}\n")
    monkeypatch.setattr(core_cpus, "PCI_DEVICES", tmp_path)
    assert core_cpus.machine_gpus() == 1
