from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trident.cli import serve
from trident.cli.passed_through import split
from trident.config.engine_arguments import Given
from trident.config.load import settings

OURS = {"--detach": False, "--http-port": True, "--help": False}


@pytest.mark.parametrize(
    ("words", "kept", "given"),
    [
        ("demo", "demo", []),
        ("--http-port 1 demo", "--http-port 1 demo", []),
        ("--max-model-len 512 demo", "demo", [Given("max_model_len", "512")]),
        ("--max-model-len=512 demo --detach", "demo --detach", [Given("max_model_len", "512")]),
        ("demo --enforce-eager --detach", "demo --detach", [Given("enforce_eager", None)]),
        ("--no-enforce-eager demo", "demo", [Given("no_enforce_eager", None)]),
        ("--enforce-eager demo", "", [Given("enforce_eager", "demo")]),
        ("--max-model-len -1", "", [Given("max_model_len", "-1")]),
        ("-tp 2 demo", "demo", [Given("tensor_parallel_size", "2")]),
        ("--compilation-config.level 3", "", [Given("compilation_config.level", "3")]),
        ("--http-port=1 -- --odd", "--http-port=1 -- --odd", []),
    ],
)
def test_unknown_options_are_vllm_s(words: str, kept: str, given: list[Given]) -> None:
    assert split(words.split(), OURS) == (kept.split(), given)


def test_every_setting_has_a_flag_with_its_description() -> None:
    from typer.main import get_command

    from trident.cli.main import build_app

    command = get_command(build_app(["serve"])).commands["serve"]  # type: ignore[attr-defined]
    options = {option: parameter for parameter in command.params for option in parameter.opts}
    for _, name, field in settings():
        if name == "model":
            continue
        option = options["--" + name.replace("_", "-")]
        assert option.help.startswith(field.description), name


def trident(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "trident", *arguments], capture_output=True, text=True, timeout=30, env=os.environ
    )
    return done, time.monotonic() - started


def test_busy_port_ends_with_3_at_once() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done, took_s = trident("serve", "--http-port", str(port))
    assert done.returncode == 3
    what, why, next_step = done.stderr.splitlines()
    assert what == f"Port {port} for KServe HTTP is busy"
    assert why.startswith(f"  why:  it is held by process {os.getpid()} (")
    assert next_step == "  next: stop that, or choose another: --http-port N"
    assert took_s < 10  # of which a busy machine may take most; an engine takes longer to start


def test_bad_setting_is_told_as_in_the_file() -> None:
    done, _ = trident("serve", "--http-port", "many")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "Bad setting listen.http_port",
        "  why:  Input should be a valid integer, unable to parse string as an integer (got 'many')",
        "  next: change it, or leave it out",
    ]


def test_missing_configuration_file_is_told(tmp_path: Path) -> None:
    done, _ = trident("serve", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 3
    assert done.stderr.startswith(f"Cannot read the configuration {tmp_path}/none.toml\n")


def test_command_settings_name_the_pass_through() -> None:
    assert "vLLM" in str(serve.COMMAND_SETTINGS["epilog"])
