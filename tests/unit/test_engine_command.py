"""What the engine host is told follows from the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from trident import engine_command
from trident.config.models import Config
from trident.engine.admission.limits import limits
from trident.models.resolve import ResolvedModel
from trident.protocol.spec import HostSpec
from trident.runtime.core_cpus import Shares
from trident.runtime.engine_env import EngineEnv


def told(tmp_path: Path, **admission: float) -> HostSpec:
    config = Config.model_validate({"admission": admission})
    model = ResolvedModel(path=tmp_path, name="demo", source="folder")
    env = EngineEnv(tmp_path, "cpu", "0", tmp_path / "python", tmp_path / "arguments.json")
    return engine_command.spec(config, model, env)


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))


def test_engine_host_is_told_the_bounds_of_its_admission(tmp_path: Path) -> None:
    spec = told(tmp_path, max_queued_requests=7, max_queue_wait_s=1.5, max_queued_tokens=9, max_running_requests=3)
    found = limits(spec, max_num_seqs=256, max_num_batched_tokens=2048, replicas=2)
    assert (found.max_queued_requests, found.max_queue_wait_s, found.max_queued_tokens) == (7, 1.5, 9)
    assert found.max_running == 3


def test_engine_is_given_what_it_can_run_and_a_little_more_by_default(tmp_path: Path) -> None:
    found = limits(told(tmp_path), max_num_seqs=128, max_num_batched_tokens=2048, replicas=2)
    assert (found.max_running, found.max_starting, found.max_starting_tokens) == (264, 66, 8192)
    assert (found.max_queued_requests, found.max_queue_wait_s, found.max_queued_tokens) == (10_000, 60, None)
    small = limits(told(tmp_path), max_num_seqs=1, max_num_batched_tokens=2048, replicas=1)
    assert (small.max_running, small.max_starting) == (5, 8)


@pytest.mark.parametrize(("replicas", "cpus"), [(1, ((0, 1),)), (2, ())])
def test_engine_host_is_told_the_cpus_of_its_cores_where_there_are_as_many(
    tmp_path: Path, replicas: int, cpus: tuple[tuple[int, ...], ...]
) -> None:
    config = Config.model_validate({"engine": {"data_parallel_size": replicas}})
    model = ResolvedModel(path=tmp_path, name="demo", source="folder")
    env = EngineEnv(tmp_path, "cuda", "0", tmp_path / "python", tmp_path / "arguments.json")
    spec = engine_command.spec(config, model, env, Shares(((0, 1),), (2, 3)))
    assert (spec.core_cpus, bool(spec.other_cpus)) == (cpus, bool(cpus))
