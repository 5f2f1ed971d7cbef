from __future__ import annotations

from pathlib import Path

from trident.supervisor import cause

TRITON = """\
I0728 10:00:00.000001 77 server.cc:604] "loading"
E0728 10:00:01.000001 77 model_lifecycle.cc:641] "failed to load 'chat' version 1: Internal: no module named msgspec"
+----------+---------+
| generate | UNAVAILABLE |
E0728 10:00:02.000001 77 main.cc:400] "error: creating server: Internal - failed to load all models"
"""


def test_the_line_that_names_the_model_is_the_cause(tmp_path: Path) -> None:
    log = tmp_path / "triton.log"
    log.write_text(TRITON)
    assert cause.from_log(log) == "failed to load 'chat' version 1: Internal: no module named msgspec"


def test_lines_of_an_earlier_life_are_not_looked_at(tmp_path: Path) -> None:
    log = tmp_path / "triton.log"
    log.write_text(TRITON)
    start = log.stat().st_size
    with log.open("a") as file:
        file.write("error: unknown flag\nall good otherwise\n")
    assert cause.from_log(log, start) == "unknown flag"


def test_a_log_without_errors_has_no_cause(tmp_path: Path) -> None:
    log = tmp_path / "quiet.log"
    assert cause.from_log(log) is None
    log.write_text("all good\n")
    assert cause.from_log(log) is None


def test_exit_codes_in_words() -> None:
    assert cause.from_exit(1) == "exit code 1"
    assert cause.from_exit(-11) == "killed by SIGSEGV"
    assert cause.from_exit(-200) == "killed by signal 200"
