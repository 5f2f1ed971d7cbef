from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trident.cli.completion import typed_words


def completed(shell: str, line: str) -> list[str]:
    words = line.split(" ")
    environ = {
        **os.environ,
        "_TRIDENT_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
    }
    if shell != "bash":
        del environ["COMP_WORDS"]
    if shell == "fish":
        environ["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    done = subprocess.run([sys.executable, "-m", "trident"], env=environ, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands(shell: str) -> None:
    found = " ".join(completed(shell, "trident do"))
    assert "doctor" in found and "serve" not in found


def test_options_of_a_command() -> None:
    assert {"--http-port", "--http-threads"} & set(completed("bash", "trident serve --http-p"))
    assert "--bundle" in completed("bash", "trident doctor --b")


def test_choices() -> None:
    assert set(completed("bash", "trident pull x --hub ")) == {"auto", "huggingface", "modelscope"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_can_be_read_by_its_shell(shell: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trident", "completion", shell], capture_output=True, text=True, timeout=30, check=True
    )
    assert "_TRIDENT_COMPLETE" in done.stdout
    if shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(done.stdout)
        subprocess.run([shell, "-n", str(script)], check=True, timeout=10)


def test_an_open_quote_is_no_error() -> None:
    assert typed_words({"_TRIDENT_COMPLETE": "x", "COMP_WORDS": 'trident serve "my'}) == ["serve", '"my']
    assert typed_words({}) is None
