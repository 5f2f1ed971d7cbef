"""``--engine``: other load generators repeat the run, and their figures are shown beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trident.bench import engines
from trident.bench.engines.crosscheck import CrossCheck
from trident.bench.plan import Workload
from trident.bench.report import numbers
from trident.bench.result import Result
from trident.cli import show
from trident.errors import EnvironmentBroken


def check(names: Sequence[str], api: str, workload: Workload, *, is_trace: bool) -> None:
    """Before anything is sent. Raises ConfigurationError for a name that is not known, and for what a tool cannot
    do."""
    for name in names:
        engines.check(engines.named(name), api, workload, is_trace=is_trace)


def cross_check(names: Sequence[str], folder: Path, result: Result, python: Path | None) -> None:
    """Runs the tools one after the other and prints what they found. ``python`` is that of ``--engine-python``."""
    for name in dict.fromkeys(names):
        tool = engines.named(name)
        found = engines.run(tool, folder, result, python or _interpreter(name), show.note)
        show.line()
        for line in lines(found):
            show.line(line)


def lines(found: CrossCheck) -> list[str]:
    """A table: ours, theirs, and how far apart."""
    rows = [["LOAD", "FIGURE", "OURS", found.tool.upper(), "DIFFERENCE"]]
    for level in found.levels:
        for one in level.figures:
            what = f"{one.metric} {one.statistic} {one.unit}" if one.unit == "ms" else f"{one.metric} {one.unit}"
            rows.append([level.load, what, numbers.figure(one.ours), numbers.figure(one.theirs),
                         numbers.change(one.difference_share)])  # fmt: skip
        if level.failed:
            rows.append([level.load, "failed requests", "", str(level.failed), ""])
    return [f"{found.tool} {found.version} on the same workload", "", *show.columns(rows), "", *found.notes]


def _interpreter(name: str) -> Path:
    """That of the environment which has the tool: the engine's for vLLM, one of its own for AIPerf, made now where it
    is missing."""
    from trident.config.paths import data_dir

    if name == "aiperf":
        from rich.console import Console

        from trident.cli.setup import progress_on
        from trident.runtime import aiperf_env

        with progress_on(Console(stderr=True)) as report:
            return aiperf_env.install(data_dir(), report)
    from trident.runtime import engine_env

    found = engine_env.engine_env("auto", data_dir())
    if found is None:
        raise EnvironmentBroken(
            "--engine vllm needs vLLM, which is not installed here",
            "vLLM's benchmark is taken from the engine environment",
            "run once: trident setup; or name the Python that has it with --engine-python",
        )
    return found.python
