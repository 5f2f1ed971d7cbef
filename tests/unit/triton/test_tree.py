from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from trident.errors import ConfigurationError
from trident.runtime.control_env import TritonInstall
from trident.triton import tree

SERVER = '#!/bin/sh\necho "$PATH $LD_LIBRARY_PATH $TRIDENT_STATE_DIR"; ulimit -s; printf "%s\\n" "$@"\n'


@pytest.fixture
def install(tmp_path: Path) -> TritonInstall:
    server = tmp_path / "a b" / "tritonserver"
    server.parent.mkdir()
    server.write_text(SERVER, encoding="utf-8")
    server.chmod(0o755)
    for name in ("python", "vllm"):
        (tmp_path / "backends" / name).mkdir(parents=True)
    return TritonInstall(server, (Path("/l1"), Path("/l 2")), tmp_path / "backends", Path("/v/bin/python"))


def run(folder: Path, *arguments: str) -> list[str]:
    environ = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": "/mine"}
    done = subprocess.run([folder / "bin" / "tritonserver", *arguments], env=environ, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_wrapper_sets_what_the_server_needs(install: TritonInstall, tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    tree.write(folder, install, {"TRIDENT_STATE_DIR": "/s t"})
    environ, _, *arguments = run(folder, "--model-repository", "/his repo")
    assert environ == f"/v/bin:{os.environ['PATH']} /l1:/l 2:/mine /s t"
    assert f"--backend-directory={folder}/backends" in arguments
    assert arguments[-2:] == ["--model-repository", "/his repo"]
    assert sorted(path.name for path in (folder / "backends").iterdir()) == ["python", "vllm"]


def test_user_s_backend_directory_counts(install: TritonInstall, tmp_path: Path) -> None:
    tree.write(tmp_path / "tree", install, {})
    arguments = run(tmp_path / "tree", "--backend-directory", "/own")
    assert [word for word in arguments if "backend-directory" in word] == ["--backend-directory"]


def test_tree_is_made_anew_and_nothing_else_is_touched(install: TritonInstall, tmp_path: Path) -> None:
    tree.write(tmp_path / "tree", install, {})
    tree.write(tmp_path / "tree", install, {})
    with pytest.raises(ConfigurationError, match="is not empty"):
        tree.write(tmp_path / "backends", install, {})
    assert sorted(path.name for path in (tmp_path / "backends").iterdir()) == ["python", "vllm"]


def test_path_that_triton_cannot_use_is_refused(install: TritonInstall, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cannot make a tree"):
        tree.write(tmp_path / "my tree", install, {})
