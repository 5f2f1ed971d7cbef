"""A search in the terminal: a line for what is measured and what came of it, then the verdict and the files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from trident.cli import show
from trident.tune import base, loop, memory, outcome, report, roofline, server, trials
from trident.tune.journal import Asked, Journal
from trident.tune.search import Search

if TYPE_CHECKING:
    from trident.tune.records import Changes, Record, Step
    from trident.tune.roofline import Machine
    from trident.tune.search import Found

PURPOSES = {"base": "base", "preset": "preset", "search": "search", "repeat": "again", "simplify": "simpler?",
            "held-out": "held out", "gate": "quality gate"}  # fmt: skip


def run(folder: Path, asked: Asked, *, is_resumed: bool = False) -> None:
    """Writes the result into ``folder``, also of a search that is interrupted: that one can be gone on with."""
    journal = Journal(folder)
    if not is_resumed:
        journal.begin(asked)
    _, done = journal.read()
    search = Search(asked.plan, asked.space, lambda changes: _lacking(asked, changes))
    child = server.TrialServer(folder.absolute(), asked.model, start_timeout_s=asked.start_timeout_s)
    runner = trials.Trials(
        folder, child, asked.loading, asked.objective,
        lambda changes: base.for_a_trial(base.changed(asked.tables, changes, asked.space), server.free_ports()),
        gate=asked.gate, first_run=len(done),
    )  # fmt: skip
    _begin(folder, asked, len(done))
    progress = Progress(asked)
    try:
        found = loop.run(search, runner, journal, done, progress.show)
    except KeyboardInterrupt:
        show.note(f"interrupted; go on with: trident tune --resume {folder}")
        raise
    finally:
        child.close()
    written = outcome.write(folder, asked, found, journal.read()[1], _machine(asked))
    report.write(folder, asked, written)
    for line in outcome.lines(written):
        show.line(line)
    show.line(f"\nconfiguration  {folder / outcome.CONFIGURATION}\nreport         {folder / report.FILE_NAME}")


class Progress:
    """One line for each measurement, with what is left of the budget."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def show(self, step: Step, record: Record | None, found: Found) -> None:
        """Before, and after."""
        left_s = self._asked.plan.budget_s - found.spent_s
        if record is None:
            show.note(f"[{show.duration(left_s)} left] {PURPOSES[step.purpose]}: {said(step.changes)} …")
            return
        if record.failure is not None:
            show.note(f"    failed after {record.took_s:.0f} s: {record.failure}")
            return
        best = record.best
        if best is None:
            show.note(f"    {len(record.answers)} answers, {record.took_s:.0f} s")
            return
        where = f"at level {best.level:g}" if best.level else ""
        start = f", start {record.start_s:.1f} s" if record.start_s else ""
        so_far = f"; best so far: {said(found.best.changes)}" if found.best else ""
        show.note(f"    {best.score:.2f} {self._asked.objective.unit} {where}, {record.took_s:.0f} s{start}{so_far}")


def said(changes: Changes) -> str:
    """``max_num_seqs 64, stream_interval 8``."""
    return ", ".join(f"{name} {'unset' if value is None else value}" for name, value in changes.items()) or "the base"


def _lacking(asked: Asked, changes: Changes) -> str | None:
    engine = base.changed(asked.tables, changes, asked.space).get("engine", {})
    return memory.lacking(asked.sizes, engine, asked.memory_bytes, replicas_share=asked.build == "cpu")


def _machine(asked: Asked) -> Machine | None:
    """Measured while no server of ours runs."""
    from trident.config import paths
    from trident.runtime import engine_env

    env = engine_env.engine_env(asked.build, paths.data_dir())
    return roofline.measure(env.python) if env is not None else None


def _begin(folder: Path, asked: Asked, done: int) -> None:
    show.line(f"tuning {asked.model} for {asked.objective.text}, vLLM {asked.vllm} ({asked.build})")
    show.line(f"knobs: {', '.join(asked.space.knobs) or 'none'}")
    show.line(f"folder {folder}, budget {show.duration(asked.plan.budget_s)}, at {time.strftime('%H:%M:%S')}")
    if done:
        show.line(f"going on after {done} measurements")
