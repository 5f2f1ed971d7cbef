from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from trident.cli import setup
from trident.runtime import engine_env
from trident.runtime.engine_env import EngineEnv
from trident.runtime.progress import Progress, Report

ENV = EngineEnv(Path("/e"), "cpu", "0.32.0", Path("/e/bin/python"), Path("/e/arguments.json"))


def test_plain_progress_shows_each_phase_once_and_its_end() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    with setup.progress_on(console) as report:
        report(Progress("packages", "2 packages to install", 0, 2))
        report(Progress("packages", "downloading torch (3 MiB)", 0, 2, 3 << 20))
        report(Progress("packages", "installed 2 packages", 2, 2, 3 << 20))
        report(Progress("verify", "importing"))
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "setup: packages: 2 packages to install [0/2 pkgs]",
        "setup: packages: installed 2 packages [2/2 pkgs, 3 MiB]",
        "setup: verify: importing",
    ]


def test_terminal_progress_ends_clean() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with setup.progress_on(console) as report:
        report(Progress("torch", "torch[extra]", 1, 2, 1 << 20))


def test_ensure_engine_says_nothing_when_it_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_env, "engine_env", lambda *_: ENV)
    console = Console(file=io.StringIO())
    assert setup.ensure_engine("auto", tmp_path, console) is ENV
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_ensure_engine_installs_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def install(_build: str, _data_dir: Path, report: Report) -> EngineEnv:
        report(Progress("check", "looking"))
        return ENV

    monkeypatch.setattr(engine_env, "engine_env", lambda *_: None)
    monkeypatch.setattr(engine_env, "install", install)
    console = Console(file=io.StringIO(), width=80)
    assert setup.ensure_engine("cpu", tmp_path, console) is ENV
    assert "setup: check: looking\ninstalled vLLM 0.32.0 (cpu)" in console.file.getvalue()  # type: ignore[attr-defined]
