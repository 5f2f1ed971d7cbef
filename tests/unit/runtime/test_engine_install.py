from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from trident.errors import EnvironmentBroken
from trident.runtime import engine_env, engine_install
from trident.runtime.progress import Progress, silent

pytestmark = pytest.mark.usefixtures("calls")


def engines(data_dir: Path) -> list[str]:
    return sorted(path.name for path in (data_dir / "engines").glob("vllm-*"))


def test_install_makes_a_complete_environment(data_dir: Path) -> None:
    seen: list[Progress] = []
    made = engine_env.install("cpu", data_dir, seen.append)
    assert made == engine_env.engine_env("cpu", data_dir)
    assert made.path.name == "vllm-0.32.0-cpu-py3.12"
    stamp = json.loads((made.path / "trident.json").read_text())
    assert stamp["torch_version"] == "2+cpu" and "pip" in stamp["torch_source"]
    assert (seen[0].phase, seen[-1].phase) == ("check", "done")
    assert Progress("packages", "installed 2 packages", 2, 2, 1572864) in seen


def test_install_pins_everything_but_torch_by_hash(calls: Path, data_dir: Path) -> None:
    engine_env.install("cpu", data_dir, silent)
    torch, rest = [line for line in calls.read_text().splitlines() if line.startswith("pip install")]
    assert torch.endswith("torch==2.13.0+cpu") and "--no-deps" in torch
    assert "--require-hashes" in rest and "--no-deps" in rest and rest.endswith("engine-cpu.txt")


def test_second_install_starts_no_process(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_env.install("cpu", data_dir, silent)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert engine_env.install("cpu", data_dir, silent).build == "cpu"


def test_install_after_new_pins_makes_it_anew(data_dir: Path) -> None:
    made = engine_env.install("cpu", data_dir, silent)
    stamp = made.path / "trident.json"
    stamp.write_text(stamp.read_text().replace('"pins_sha256": "', '"pins_sha256": "0'))
    (made.path / "old").touch()
    assert engine_env.engine_env("cpu", data_dir) is None
    assert not (engine_env.install("cpu", data_dir, silent).path / "old").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("client error (Connect)\n  cause: dns error", "no route to"),
        ("operation timed out", "no route to"),
        ("invalid peer certificate: UnknownIssuer", "certificate"),
        ("Hash mismatch for `numpy==1`", "not the one that was pinned"),
        ("No space left on device (os error 28)", "disk is full"),
        ("Permission denied (os error 13)", "may not be written"),
        ("No solution found when resolving", "lack a pinned version"),
        ("something else", "something else"),
    ],
)
def test_failed_install_says_why_and_leaves_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, words: str, why: str
) -> None:
    monkeypatch.setenv("FAKE_FAIL", words)
    with pytest.raises(EnvironmentBroken) as caught:
        engine_env.install("cpu", data_dir, silent)
    lines = caught.value.lines()
    assert len(lines) == 3 and why in lines[1] and "setup.log" in lines[2] and caught.value.exit_code == 3
    assert engines(data_dir) == []


def test_install_of_vllm_that_does_not_import_leaves_nothing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_BAD_VLLM", "1")
    with pytest.raises(EnvironmentBroken, match="ImportError: no vllm"):
        engine_env.install("cpu", data_dir, silent)
    assert engines(data_dir) == []


def wait_for(path: Path) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text().strip()):
            return int(text)
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


INSTALL = """
import signal, sys
from pathlib import Path
from trident.runtime import checks, engine_install, python_finder
signal.signal(signal.SIGINT, signal.default_int_handler)
engine_install.find_uv = lambda: Path(sys.argv[1])
checks.check_disk = lambda *_: None
python_finder.candidates = lambda _: iter([python_finder.Interpreter("3.12", Path("/x/python3.12"))])
engine_install.install("cpu", Path(sys.argv[2]), lambda _: None)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_install_leaves_nothing_that_counts(data_dir: Path, tmp_path: Path, number: signal.Signals) -> None:
    hang = tmp_path / "hang"
    environ = os.environ | {"FAKE_HANG": str(hang)}
    command = [sys.executable, "-c", INSTALL, str(tmp_path / "uv"), str(data_dir)]
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    uv_pid = wait_for(hang)
    process.send_signal(number)
    process.wait(10)
    assert gone(uv_pid)
    assert engine_env.engine_env("cpu", data_dir) is None
    left = data_dir / "engines" / "vllm-0.32.0-cpu-py3.12" / "left"
    if number == signal.SIGKILL:
        left.touch()
    else:
        assert engines(data_dir) == []
    assert engine_env.install("cpu", data_dir, silent).python.exists()
    assert not left.exists()


def test_unstamped_folder_is_deleted_by_the_next_install(data_dir: Path) -> None:
    old = data_dir / "engines" / "vllm-0.30.0-cpu-py3.11"
    old.mkdir(parents=True)
    engine_env.install("cpu", data_dir, silent)
    assert engines(data_dir) == ["vllm-0.32.0-cpu-py3.12"]


def test_concurrent_installs_make_one_environment(calls: Path, data_dir: Path) -> None:
    made: list[engine_env.EngineEnv] = []
    threads = [
        threading.Thread(target=lambda: made.append(engine_install.install("cpu", data_dir, silent))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(made) == 4 and len(set(made)) == 1
    assert calls.read_text().count("venv --no-project") == 1


def test_torch_from_pytorch_when_the_configured_source_has_none(
    calls: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NO_CONFIGURED", "1")
    made = engine_env.install("cpu", data_dir, silent)
    assert "torch-backend" in json.loads((made.path / "trident.json").read_text())["torch_source"]
    assert any(
        "--torch-backend cpu" in line for line in calls.read_text().splitlines() if line.startswith("pip install")
    )


def test_other_python_is_taken_when_the_source_has_torch_for_that_one(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ONLY_PYTHON", "3.11")
    assert engine_env.install("cpu", data_dir, silent).path.name.endswith("py3.11")


def test_no_source_of_torch_names_both_places(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NO_CONFIGURED", "1")
    monkeypatch.setenv("FAKE_NO_PYTORCH", "1")
    with pytest.raises(EnvironmentBroken, match=r"configured sources.*PyTorch's CPU index"):
        engine_env.install("cpu", data_dir, silent)
