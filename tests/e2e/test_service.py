"""``trident service`` under a real systemd: started, restarted after a kill, stopped; what cannot start is left."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from served import free_ports
from systemd_manager import SystemdManager, missing

from trident.config.paths import data_dir

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

READY_TIMEOUT_S = 120.0
ACCOUNT = "nobody"


@pytest.fixture
def home() -> Iterator[Path]:
    """With a short name, for sockets."""
    if why := missing():
        pytest.skip(why)
    home = Path(tempfile.mkdtemp(prefix="sd-"))
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def manager(home: Path) -> Iterator[SystemdManager]:
    with SystemdManager.running(home) as running:
        yield running


@pytest.fixture
def machine(home: Path) -> Iterator[SystemdManager]:
    places = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__), data_dir() / "engines"]
    with SystemdManager.running(home, places) as running:
        yield running


def configured(folder: Path, name: str, ports: list[int]) -> Path:
    doors = zip(("http", "grpc", "metrics", "openai"), ports, strict=True)
    listen = "".join(f"{door}_port = {port}\n" for door, port in doors)
    file = folder / f"{name}.toml"
    file.write_text(f'name = "{name}"\nmodel = "demo"\n[listen]\n{listen}[stubs]\nstubs = 1\n')
    return file


def trident(manager: SystemdManager, *words: str) -> tuple[int, str]:
    places = {"TRIDENT_DATA_DIR": str(data_dir()), "TRIDENT_STATE_DIR": str(manager.home / "state")}
    done = manager.run(sys.executable, "-m", "trident", *words, timeout_s=100, **places)
    return done.returncode, done.stdout + done.stderr


def phase(manager: SystemdManager, name: str) -> str:
    """As the server itself writes it down: asking by a command, again and again, would slow its start."""
    try:
        return str(json.loads((manager.home / "state" / "run" / name / "state.json").read_text())["phase"])
    except FileNotFoundError:
        return ""


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # one of those that come and go
        return ""


def answered(ports: list[int]) -> str:
    text = {"text_input": "The capital of France is", "max_tokens": 8, "temperature": 0}
    url = f"http://127.0.0.1:{ports[0]}/v2/models/generate/generate"
    return str(httpx.post(url, json=text, timeout=60).json()["text_output"])


def until(condition: object, timeout_s: float) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_service_is_started_restarted_and_removed(manager: SystemdManager) -> None:
    ports = free_ports(4)
    config = configured(manager.home, "eins", ports)
    unit = "trident-eins.service"
    code, said = trident(manager, "service", "install", "--config", str(config))
    assert code == 0 and "is installed" in said, said
    assert manager.shown(unit, "ActiveState") == "active"
    assert manager.shown(unit, "UnitFileState") == "enabled"
    assert manager.shown(unit, "LimitNOFILE") == "65536"

    # Killed while it starts: systemd starts it anew, and that one serves.
    first = manager.shown(unit, "MainPID")
    assert manager.run("kill", "-9", first).returncode == 0
    assert until(lambda: manager.shown(unit, "MainPID") not in ("0", first), 30)
    assert until(lambda: phase(manager, "eins") == "ready", READY_TIMEOUT_S), trident(manager, "logs")[1]
    assert trident(manager, "status", "--name", "eins")[0] == 0
    assert " Paris." in answered(ports)
    code, said = trident(manager, "service", "status", "--name", "eins")
    assert code == 0 and "active (running)" in said and "restarts 1" in said, said
    served = [one for one in psutil.Process(manager.pid).children(recursive=True) if "trident" in command(one)]
    assert any("bin/tritonserver" in command(process) for process in served)

    code, said = trident(manager, "service", "remove", "--name", "eins")
    assert code == 0, said
    assert not (manager.home / "config" / "systemd" / "user" / unit).exists()
    assert psutil.wait_procs(served, timeout=5)[1] == []
    assert phase(manager, "eins") == "stopped"
    assert trident(manager, "service", "status", "--name", "eins")[0] == 4
    assert trident(manager, "service", "remove", "--name", "eins")[0] != 0


def test_what_cannot_start_is_not_started_again(manager: SystemdManager) -> None:
    ports = free_ports(4)
    unit = "trident-zwei.service"
    with socket.create_server(("127.0.0.1", ports[0])):
        trident(manager, "service", "install", "--config", str(configured(manager.home, "zwei", ports)))
        assert until(lambda: manager.shown(unit, "ActiveState") == "failed", 30)
        assert (manager.shown(unit, "ExecMainStatus"), manager.shown(unit, "NRestarts")) == ("3", "0")
        code, said = trident(manager, "service", "status", "--name", "zwei")
        assert code == 4 and "failed" in said and "last exit code 3" in said
    assert trident(manager, "service", "remove", "--name", "zwei")[0] == 0
    assert os.path.lexists(manager.home / "zwei.toml"), "what is the user's stays"


def test_machines_service_runs_as_its_account_and_writes_the_journal(machine: SystemdManager) -> None:
    ports = free_ports(4)
    unit = "trident-drei.service"
    config = configured(machine.home, "drei", ports)
    for folder in ("state", "cache"):
        (machine.home / folder).mkdir()
        shutil.chown(machine.home / folder, ACCOUNT)
    code, said = trident(machine, "service", "install", "--config", str(config), "--system", "--user", ACCOUNT)
    assert code == 0 and f"/etc/systemd/system/{unit}" in said, said
    assert (machine.home / "etc" / unit).is_file(), "not the user's folder"
    assert until(lambda: phase(machine, "drei") == "ready", READY_TIMEOUT_S), machine.run(
        "journalctl", "-u", unit
    ).stdout
    assert " Paris." in answered(ports)
    served = [one for one in psutil.Process(machine.pid).children(recursive=True) if "trident" in command(one)]
    assert any("bin/tritonserver" in command(process) for process in served)
    assert {process.username() for process in served} == {ACCOUNT}
    assert machine.shown(unit, "LimitMEMLOCK") == "infinity"
    code, said = trident(machine, "service", "status", "--name", "drei", "--system")
    assert code == 0 and "active (running)" in said and "enabled" in said, said

    code, said = trident(machine, "service", "remove", "--name", "drei", "--system")
    assert code == 0 and psutil.wait_procs(served, timeout=5)[1] == [], said
    assert not (machine.home / "etc" / unit).exists() and phase(machine, "drei") == "stopped"
