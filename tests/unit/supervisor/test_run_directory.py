from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from trident.config.models import Config
from trident.errors import AlreadyRunning, EnvironmentBroken
from trident.supervisor import run_directory
from trident.supervisor.run_directory import RunDirectory


def test_directory_is_private_and_links_the_package() -> None:
    config = Config()
    directory = RunDirectory(config)
    directory.acquire()
    for folder in (config.run_dir, config.sockets_dir, directory.logs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (config.run_dir / "lib" / "trident" / "errors.py").is_file()
    assert Config.model_validate_json((config.run_dir / "config.json").read_text()) == config
    directory.release()
    assert not config.sockets_dir.exists()


def test_second_server_of_the_same_name_is_refused() -> None:
    first = RunDirectory(Config())
    first.acquire()
    with pytest.raises(AlreadyRunning, match="A server named default is running already"):
        RunDirectory(Config()).acquire()
    with pytest.raises(AlreadyRunning):
        run_directory.check_free(Config())
    other = RunDirectory(Config(name="other"))
    other.acquire()
    other.release()
    first.release()
    run_directory.check_free(Config())


def test_leftovers_of_a_killed_run_are_removed() -> None:
    config, prefix = Config(), f"trident-test-{os.getpid()}-"
    first = RunDirectory(config, prefix)
    first.acquire()
    (config.sockets_dir / "relay").touch()
    (first.logs / "engine.log").write_text("of the first run\n")
    shared = Path("/dev/shm") / f"{prefix}region"
    shared.touch()
    assert first._lock is not None
    first._lock.close()  # as the kernel does for a killed process

    second = RunDirectory(config, prefix)
    second.acquire()
    assert list(config.sockets_dir.iterdir()) == []
    assert not shared.exists()
    assert [file.name for file in second.logs.iterdir()] == ["engine.log.1"]
    second.release()


def test_path_too_long_for_sockets_gets_short_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path / ("long" * 30)))
    config = Config()
    directory = RunDirectory(config)
    directory.acquire()
    assert len(os.fsencode(config.sockets_dir)) < 60
    assert config.sockets_dir.is_dir()
    directory.release()
    assert not config.sockets_dir.exists()


@pytest.mark.parametrize("odd", ["a b", "it's", 'q"q', "x;y", "$x", "#1", "(1)"])
def test_path_that_a_shell_would_misread_gets_plain_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path / odd))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / odd))
    assert Config().sockets_dir.parent == Path("/tmp")
    monkeypatch.setenv("TRIDENT_STATE_DIR", "/模型/run_1.0")
    assert Config().sockets_dir == Path("/模型/run_1.0/run/default/sockets")


def test_run_directory_that_cannot_be_made_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path / "file"))
    with pytest.raises(EnvironmentBroken, match="Cannot use the run directory"):
        RunDirectory(Config()).acquire()


def test_lock_that_cannot_be_opened_is_explained() -> None:
    config = Config()
    (config.run_dir / "lock").mkdir(parents=True)
    with pytest.raises(EnvironmentBroken, match="Cannot use the run directory"):
        run_directory.check_free(config)


def test_stub_of_a_run_that_was_killed_while_it_started_is_ended() -> None:
    config = Config()
    model = f"{config.run_dir}/repository/generate/1/model.py"
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", model]) as stub:
        directory = RunDirectory(config)
        directory.acquire()
        directory.release()
        assert stub.wait(5) == -signal.SIGKILL
