"""``trident tune`` on the real engine: one trial, and what it leaves behind; a planted bad default; a search that is
killed. The search is tested without one."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import msgspec
import psutil
import pytest
from served import Served

from trident.config import load
from trident.tune.journal import Journal
from trident.tune.outcome import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

KILLED_AFTER = 3


def test_one_trial_leaves_a_configuration_a_report_and_a_journal(tmp_path: Path) -> None:
    """The budget is over after the first trial, however fast the machine is; going on with it starts nothing."""
    words = ["demo", "--max-num-seqs", "4", "--slo", "ttft:60s", "--concurrency", "2", "--budget-min", "0.1"]
    words += ["--look-s", "1", "--measure-s", "2", "--input-tokens", "16", "--output-tokens", "4"]
    folder, machine = tmp_path / "tuned", Served.plan(tmp_path / "state")
    done = machine.trident("tune", *words, "--most-trials", "1", "--output", str(folder), timeout_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    asked, records = Journal(folder).read()
    assert asked.tables["engine"] == {"max_num_seqs": 4}
    assert "stream_interval" in asked.space.knobs
    assert [record.failure for record in records] == [None] * len(records)
    assert records[0].start_s > 0 and records[1].start_s == 0
    assert all(level.score > 0 for record in records for level in record.levels)
    assert load(file=folder / "trident.toml", environ={}).engine == {"max_num_seqs": 4}
    assert "Nothing better than the base was found" in (folder / "report.html").read_text(encoding="utf-8")

    again = machine.trident("tune", "--resume", str(folder))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing better than the base was found" in again.stdout
    assert Journal(folder).read()[1] == records


@pytest.mark.skipif("TUNE_IN_FULL" not in os.environ, reason="takes four minutes and a quiet machine: TUNE_IN_FULL=1")
def test_planted_bad_default_is_left_within_three_trials_by_a_search_that_is_killed(tmp_path: Path) -> None:
    """One sequence at a time is the planted one. What is killed leaves nothing that runs, and what goes on repeats
    nothing and ends with the verdict."""
    machine, folder = Served.plan(tmp_path / "state"), tmp_path / "tuned"
    words = ["demo", "--max-num-seqs", "1", "--slo", "ttft:2s", "--slo", "tpot:200ms", "--budget-min", "2.5"]
    words += ["--look-s", "1", "--measure-s", "3", "--most-trials", "3", "--output", str(folder)]
    with (tmp_path / "killed.log").open("wb") as log:
        first = subprocess.Popen(machine.command("tune", *words), env=machine.environ, stdout=log, stderr=log)
    try:
        while not (folder / "journal.jsonl").exists() or len(Journal(folder).read()[1]) < KILLED_AFTER:
            assert first.poll() is None, (tmp_path / "killed.log").read_text(encoding="utf-8")
            time.sleep(0.1)
    finally:
        first.kill()
        first.wait()
    _wait_until_nothing_runs(folder)
    _, before = Journal(folder).read()

    again = machine.trident("tune", "--resume", str(folder), timeout_s=400)
    assert again.returncode == 0, again.stdout + again.stderr
    _, records = Journal(folder).read()
    assert records[: len(before)] == before
    made = msgspec.json.decode((folder / "result.json").read_bytes(), type=Outcome)
    assert made.verdict == "better", again.stdout
    assert made.winner.get("max_num_seqs", 1) is None or made.winner["max_num_seqs"] > 1
    assert len(made.trials) <= 3
    assert made.interval is not None and made.interval.low > 0
    assert "max_num_seqs" not in load(file=folder / "trident.toml", environ={}).engine
    _wait_until_nothing_runs(folder)


def _wait_until_nothing_runs(folder: Path) -> None:
    deadline_s = time.monotonic() + 20
    while left := [process.info for process in psutil.process_iter(["cmdline", "environ"]) if _is_of(process, folder)]:
        assert time.monotonic() < deadline_s, left
        time.sleep(0.1)


def _is_of(process: psutil.Process, folder: Path) -> bool:
    environ = process.info["environ"] or {}
    return process.pid != os.getpid() and environ.get("TRIDENT_STATE_DIR", "").startswith(str(folder))
