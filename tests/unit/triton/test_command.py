from __future__ import annotations

from pathlib import Path

import pytest

from trident.config import load
from trident.runtime.control_env import TritonInstall
from trident.triton import command

INSTALL = TritonInstall(
    server=Path("/a b/tritonserver"),
    library_dirs=(Path("/l1"), Path("/l2")),
    backend_dir=Path("/be"),
    python=Path("/v/bin/python"),
)


def test_command_line_keeps_paths_with_spaces_whole(tmp_path: Path) -> None:
    argv = command.argv(load({"http_port": 8100, "host": "0.0.0.0"}, environ={}), INSTALL, tmp_path / "my repo")
    assert argv[0] == "/a b/tritonserver"
    assert f"--model-repository={tmp_path / 'my repo'}" in argv
    assert {"--http-port=8100", "--http-address=0.0.0.0", "--grpc-address=0.0.0.0", "--metrics-address=0.0.0.0"} <= set(
        argv
    )


def test_servers_of_different_names_share_no_memory() -> None:
    one, other = (command.shm_prefix(load({"name": name}, environ={})) for name in ("a", "a_b"))
    assert not one.startswith(other) and not other.startswith(one)


def test_environment_puts_the_control_env_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/mine")
    environ = command.environment(INSTALL)
    assert "PYTHONPATH" not in environ
    assert environ["PATH"] == "/v/bin:/usr/bin"
    assert environ["LD_LIBRARY_PATH"] == "/l1:/l2:/mine"
