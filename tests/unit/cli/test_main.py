from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import trident
from trident.cli import main as program
from trident.errors import PortBusy


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "trident", *arguments], capture_output=True, text=True, timeout=20)


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"trident {trident.__version__}\n")


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name, entry in program.COMMANDS.items():
        assert f"  {name}" in done.stdout and entry.summary in done.stdout


def test_help_imports_nothing_large() -> None:
    code = """
import json, sys
from trident.cli.main import main
try:
    main(["--help"])
except SystemExit:
    sys.stderr.write(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    imported = set(json.loads(done.stderr))
    large = {"torch", "vllm", "tritonclient", "grpc", "numpy", "pydantic", "httpx", "zmq", "rich", "psutil", "msgspec"}
    assert imported & large == set()


def test_unknown_command_is_refused() -> None:
    done = run("sevre")
    assert done.returncode == 2
    assert "serve" in done.stderr


def test_error_is_three_lines_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PortBusy("Port 8000 is busy", "process 1 (init) has it", "stop it", log_path=Path("/x/y.log"))

    monkeypatch.setattr(program, "build_app", lambda _: fail)
    with pytest.raises(SystemExit) as caught:
        program.main([])
    assert caught.value.code == 3
    assert capsys.readouterr().err == (
        "Port 8000 is busy\n  why:  process 1 (init) has it\n  next: stop it (log: /x/y.log)\n"
    )
    with pytest.raises(PortBusy):
        program.main(["--debug"])


def test_defect_is_three_lines_and_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(program, "build_app", lambda _: fail)
    with pytest.raises(SystemExit) as caught:
        program.main([])
    log = tmp_path / "state" / "last-defect.log"
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "Trident failed in a way it did not expect: ZeroDivisionError: by zero",
        "  why:  a defect of Trident, most likely",
        f"  next: run it again with --debug and report it (log: {log})",
    ]
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("command", ["status", "stop"])
def test_command_without_a_server_ends_with_4(command: str) -> None:
    done = run(command, "--name", "nobody")
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "No server named nobody is running",
        "  why:  there is none of that name",
        "  next: start one: trident serve --name nobody",
    ]


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("serve", "demo", "more"), "unexpected extra argument"),
        (("serve", "--http-port"), "requires an argument"),
        (("logs", "-n", "-3"), "greater than or equal to 0"),
        (("setup", "--engine", "rocm"), "is not one of"),
    ],
)
def test_wrong_usage_is_three_lines(words: tuple[str, ...], cause: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert [line[:7] for line in done.stderr.splitlines()[1:]] == ["  why: ", "  next:"]
    assert cause in done.stderr


def test_closed_streams_do_no_harm() -> None:
    command = f"{sys.executable} -c 'from trident.cli.main import main; main()' logs --name none"
    for closed in ("<&-", ">&-", "<&- >&-"):
        done = subprocess.run(f"{command} {closed}", shell=True, capture_output=True, text=True, timeout=20)
        assert done.returncode == 4, done.stderr
        assert "has logs" in done.stderr


def test_server_goes_on_when_its_reader_has_gone() -> None:
    code = """
import sys
from trident.cli import show
for _ in range(3):
    with show.going_on():
        show.line("x" * 100_000)
sys.stderr.write("went on")
"""
    done = subprocess.run(
        f"{sys.executable} -c '{code}' | head -c 1", shell=True, capture_output=True, text=True, timeout=20
    )
    assert done.stderr == "went on"
