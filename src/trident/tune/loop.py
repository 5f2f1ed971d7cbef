"""Joins a search, a runner and a journal: what the journal has is not measured again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from trident.errors import ConfigurationError
from trident.tune.journal import Journal
from trident.tune.records import Record, Step
from trident.tune.search import Found, Search


class Runner(Protocol):
    """Measures. What cannot start or does not answer is a record with its ``failure``, no exception."""

    def run(self, step: Step) -> Record: ...


Watch = Callable[[Step, "Record | None", Found], None]
"""Called before each measurement, and after it with what came of it; those of the journal come after only."""


def run(search: Search, runner: Runner, journal: Journal, done: Sequence[Record], watch: Watch) -> Found:
    """Raises ConfigurationError when the journal's records are not those that this search would ask for."""
    steps = search.steps()
    past = iter(done)
    step = next(steps)
    while True:
        record = next(past, None)
        if record is None:
            watch(step, None, search.found)
            record = runner.run(step)
            journal.add(record)
        elif record.step != step:
            raise ConfigurationError(
                "The search cannot be gone on with",
                f"its journal has {record.step.purpose} of {record.step.changes}, and this Trident would have measured "
                f"{step.purpose} of {step.changes}",
                "go on with the Trident and vLLM that began it, or begin anew",
            )
        try:
            step_done, step = step, steps.send(record)
        except StopIteration as end:
            watch(step, record, search.found)
            found: Found = end.value
            return found
        watch(step_done, record, search.found)
