from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from trident.config import load
from trident.config.places import Place
from trident.runtime.control_env import TritonInstall
from trident.triton import command

METRICS = Place("127.0.0.1", 18002)
INSTALL = TritonInstall(
    server=Path("/a b/tritonserver"),
    library_dirs=(Path("/l1"), Path("/l2")),
    backend_dir=Path("/be"),
    python=Path("/v/bin/python"),
)


def test_command_line_keeps_paths_with_spaces_whole(tmp_path: Path) -> None:
    argv = command.argv(
        load({"http_port": 8100, "host": "127.0.0.2"}, environ={}), INSTALL, tmp_path / "my repo", METRICS
    )
    assert argv[:2] == ["/bin/sh", "-c"] and argv[3] == "/a b/tritonserver"
    assert f"--model-repository={tmp_path / 'my repo'}" in argv
    assert {
        "--http-port=8100",
        "--http-address=127.0.0.2",
        "--grpc-address=127.0.0.2",
        "--metrics-address=127.0.0.1",
    } <= set(argv)


def test_users_own_models_keep_triton_s_threads(tmp_path: Path) -> None:
    pool = f"--backend-config=python,thread-pool-size={command.OWN_POOL_THREADS}"
    mine = load({"model_repository": [str(tmp_path)]}, environ={})
    assert pool in command.argv(load({}, environ={}), INSTALL, tmp_path, METRICS)
    assert pool not in command.argv(mine, INSTALL, tmp_path, METRICS)


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


def test_server_is_what_the_shell_becomes_with_arguments_whole(tmp_path: Path) -> None:
    server = tmp_path / "a $(b) server"
    server.write_text('#!/bin/sh\necho $$; ulimit -s; printf "%s\\n" "$@"\n', encoding="utf-8")
    server.chmod(0o755)
    argv = command.argv(load({}, environ={}), replace(INSTALL, server=server), tmp_path / "my $HOME repo", METRICS)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, encoding="utf-8") as process:
        out, _ = process.communicate(timeout=10)
    lines = out.splitlines()
    assert int(lines[0]) == process.pid
    assert f"--model-repository={tmp_path / 'my $HOME repo'}" in lines


def test_ipv6_address_is_written_as_each_library_wants_it() -> None:
    config = load({"host": "::1"}, environ={})
    install = TritonInstall(Path("/server"), (), Path("/backends"), Path("/python"))
    words = command.argv(config, install, Path("/repository"), METRICS)
    assert {"--http-address=ipv6:::1", "--grpc-address=[::1]", "--metrics-address=127.0.0.1"} <= set(words)


def test_repository_of_the_user_s_is_completed_by_triton(tmp_path: Path) -> None:
    install = TritonInstall(Path("/server"), (), Path("/backends"), Path("/python"))
    flags: dict[str, object] = {"model_repository": [str(tmp_path)]}
    assert "--disable-auto-complete-config" in command.argv(load({}, environ={}), install, Path("/repository"), METRICS)
    assert "--disable-auto-complete-config" not in command.argv(
        load(flags, environ={}), install, Path("/repository"), METRICS
    )
    assert command.environment(install, Path("/keeper"))["TRIDENT_KEEPER"] == "/keeper"


@pytest.mark.parametrize(
    ("flags", "loaded"),
    [
        ({}, ["*"]),
        ({"load_model": ["llama"]}, ["llama"]),
        ({"load_model": ["llama"], "model": "demo"}, ["generate", "generate_infer", "qwen3_vllm", "llama"]),
    ],
)
def test_explicit_mode_loads_all_or_what_is_named_beside_ours(
    tmp_path: Path, flags: dict[str, object], loaded: list[str]
) -> None:
    install = TritonInstall(Path("/server"), (), Path("/backends"), Path("/python"))
    config = load({"model_repository": [str(tmp_path)], "model_control_mode": "explicit", **flags}, environ={})
    words = command.argv(config, install, Path("/repository"), METRICS)
    assert "--model-control-mode=explicit" in words
    assert [word.partition("=")[2] for word in words if word.startswith("--load-model")] == loaded


@pytest.mark.parametrize(
    ("settings", "exit_timeout_s"),
    [({}, 2), ({"stop_timeout_s": 1.5}, 1), ({"model_repository": ["/m"]}, 10), ({"stop_timeout_s": 1}, 1)],
)
def test_triton_waits_for_clients_only_as_long_as_somebody_may_be_served(
    settings: dict[str, object], exit_timeout_s: int
) -> None:
    argv = command.argv(load(settings, environ={}), INSTALL, Path("/r"), METRICS)
    assert f"--exit-timeout-secs={exit_timeout_s}" in argv


def test_apis_that_change_the_server_are_closed_unless_asked() -> None:
    def rules(**flags: object) -> list[str]:
        words = command.argv(load(flags, environ={}), INSTALL, Path("/repository"), METRICS)
        return [word for word in words if "restricted" in word]

    assert rules() == [
        f"--http-restricted-api=shared-memory,trace,logging:{command.CLOSED}=\n",
        f"--grpc-restricted-protocol=shared-memory,trace,logging:{command.CLOSED}=\n",
    ]
    assert rules(open_apis=["trace"])[0].startswith("--http-restricted-api=shared-memory,logging:")
    assert rules(open_apis=["trace", "logging", "shared-memory"]) == []


def test_behind_a_gateway_it_listens_on_sockets_of_the_user_alone() -> None:
    config = load({"gateway": True}, environ={})
    words = command.argv(config, INSTALL, Path("/repository"), METRICS)
    assert f"--http-address=unix:{config.sockets_dir}/http" in words
    assert f"--grpc-address=unix:{config.sockets_dir}/grpc" in words
