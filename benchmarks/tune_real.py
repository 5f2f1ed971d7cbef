"""What ``trident tune`` shows on real servers of the demo model, a line for each claim:

    python benchmarks/tune_real.py planted FOLDER   # a base with max_num_seqs 1 is left within three trials
    python benchmarks/tune_real.py twice FOLDER     # two whole searches, one after the other, and whether they agree
    python benchmarks/tune_real.py resumed FOLDER   # that search again, from a third and two thirds of its journal

``resumed`` takes a folder in which a search has ended: what its journal has is decided the same way again, step for
step, and what is measured anew is real. The machine should be quiet.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from trident.tune import loop
from trident.tune.journal import FILE_NAME, Journal
from trident.tune.outcome import Outcome
from trident.tune.records import Measured, Record, Step
from trident.tune.search import Search

SLOS = ("--slo", "ttft:500ms", "--slo", "tpot:50ms")
SHARES = (1 / 3, 2 / 3)


class _Over(Exception):
    """The journal has no more."""


class _Nobody:
    """Measures nothing."""

    def run(self, step: Step) -> Record:
        raise _Over(step)


def planted(folder: Path) -> None:
    """With three configurations at most."""
    tune(["demo", "--max-num-seqs", "1", *SLOS, "--budget-min", "5", "--most-trials", "3", "--output", str(folder)])
    show(folder)


def twice(folder: Path) -> None:
    """With the defaults of a new user."""
    for number in (1, 2):
        tune(["demo", *SLOS, "--budget-min", "15", "--output", str(folder / str(number))])
    for number in (1, 2):
        show(folder / str(number))


def resumed(folder: Path) -> None:
    """Beside the one that was not interrupted."""
    show(folder)
    lines = (folder / FILE_NAME).read_bytes().splitlines(keepends=True)
    for share in SHARES:
        kept = 1 + round(share * (len(lines) - 1))
        again = folder.with_name(f"{folder.name}-from-{kept - 1}")
        again.mkdir()
        (again / FILE_NAME).write_bytes(b"".join(lines[:kept]))
        print(f"\nfrom {kept - 1} of {len(lines) - 1} measurements; the next step is the same: "
              f"{next_step(again) == Journal(folder).read()[1][kept - 1].step}")  # fmt: skip
        tune(["--resume", str(again)])
        show(again)


def next_step(folder: Path) -> Step:
    """What the search would measure now."""
    asked, done = Journal(folder).read()
    try:
        loop.run(Search(asked.plan, asked.space), _Nobody(), Journal(folder), done, lambda *_: None)
    except _Over as over:
        step: Step = over.args[0]
        return step
    raise ValueError("the search has ended")


def show(folder: Path) -> None:
    """The verdict, and the trials in their order."""
    made = msgspec.json.decode((folder / "result.json").read_bytes(), type=Outcome)
    spent = made.spending
    print(f"\n{folder.name}: {made.verdict}, {made.winner}")
    if made.interval is not None:
        low, high = 100 * made.interval.low, 100 * made.interval.high
        base, best = (scores(runs) for runs in (made.held_out_base, made.held_out_best))
        print(f"  held out: base {base}; best {best}; {100 * made.interval.change:+.1f} % ({low:+.1f} to {high:+.1f})")
    print(f"  {len(made.trials)} configurations; {spent.starts} starts took {spent.starting_s:.0f} s")
    for trial in made.trials:
        score = "–" if trial.score is None else f"{trial.score:.2f}"
        print(
            f"  {trial.number:3} {trial.purpose:9} {score:>8} {trial.runs} runs {trial.changes} {trial.failure or ''}"
        )


def scores(runs: Sequence[Measured]) -> str:
    """In requests/s."""
    return ", ".join(f"{run.score:.2f}" for run in runs)


def tune(words: Sequence[str]) -> None:
    """Raises CalledProcessError."""
    subprocess.run([sys.executable, "-m", "trident", "tune", *words], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    {"planted": planted, "twice": twice, "resumed": resumed}[sys.argv[1]](Path(sys.argv[2]))
