"""Runs another load generator on the workload that was just measured, and lays its figures beside ours.

The tools live in environments of their own; whoever calls names the interpreter. They start one after the other, after
our own run, so that no two share the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from trident.bench.engines import aiperf, crosscheck, prompts, vllm
from trident.bench.engines.crosscheck import CrossCheck, ToolLevel
from trident.bench.engines.tool import Job, Tool
from trident.bench.plan import Workload
from trident.bench.result import Result
from trident.errors import ConfigurationError, TridentError

TOOLS: dict[str, Tool] = {"aiperf": aiperf, "vllm": vllm}
START_TIMEOUT_S = 300.0
"""What a tool may take beyond the time that our own run took: imports, processes, a report."""
SLOWER = 4.0
MOST_REQUESTS = 20_000
"""Repeated at most: the prompts of a longer run are a file of hundreds of megabytes."""
LOG = "log.txt"


def named(name: str) -> Tool:
    """Raises ConfigurationError for one that is not known."""
    if name not in TOOLS:
        raise ConfigurationError(f"--engine {name} is unknown", f"known are: {', '.join(TOOLS)}", "give one of these")
    return TOOLS[name]


def check(tool: Tool, api: str, workload: Workload, *, is_trace: bool) -> None:
    """What ``tool`` cannot repeat is told before anything is sent. Raises ConfigurationError."""
    if api not in tool.APIS:
        raise ConfigurationError(
            f"--engine {tool.NAME} cannot load {api}", f"it knows {' and '.join(tool.APIS)}", "leave out --engine"
        )
    if workload.turns > 1:
        raise ConfigurationError(
            f"--engine {tool.NAME} cannot repeat a workload of {workload.turns} turns",
            "vLLM's benchmark has no conversations, and AIPerf plays them with other pauses",
            "leave out --turns or --engine",
        )
    if is_trace:
        raise ConfigurationError(
            f"--engine {tool.NAME} cannot replay a trace of ours", "its traces have another form", "leave out --engine"
        )


def run(tool: Tool, folder: Path, result: Result, python: Path, report: Callable[[str], None]) -> CrossCheck:
    """Repeats each load level of ``result`` with ``tool``, and writes what it found beside the result. Raises
    TridentError where the tool fails."""
    levels: list[ToolLevel] = []
    version = "unknown"
    for point in result.points:
        count = min(point.counts.sent, MOST_REQUESTS)
        if not count:
            continue
        report(f"{tool.NAME}: {point.load.label}, {count} requests")
        job = Job(
            python=python,
            folder=(folder / tool.NAME / str(point.index)).absolute(),
            target=result.target,
            workload=result.workload,
            load=point.load,
            asks=prompts.asks(result.workload, tool.NAME, point.index, count),
            warmup_requests=min(point.load.concurrency or 1, count),
            timeout_s=result.stop.timeout_s,
        )
        shutil.rmtree(job.folder, ignore_errors=True)  # figures of an earlier run are not this one's
        command = tool.command(job)
        seconds = (point.window.run_end_ns - point.window.start_ns) / 1e9
        _run(tool, command, job, START_TIMEOUT_S + SLOWER * seconds)
        try:
            theirs, version = tool.read(job), tool.version(job)
        except (OSError, ValueError, KeyError) as error:
            raise _failed(tool, job, f"its output cannot be read: {error}") from error
        if not theirs.ok:
            raise _failed(tool, job, f"all of its {theirs.failed} requests failed")
        levels.append(crosscheck.beside(point, theirs, command))
    found = CrossCheck(tool=tool.NAME, version=version, levels=levels, notes=tool.NOTES)
    crosscheck.write(folder, found)
    return found


def _run(tool: Tool, command: list[str], job: Job, timeout_s: float) -> None:
    """The tool in a session of its own, its words in a log; all of it is ended with us."""
    environ: dict[str, str] = dict(os.environ)
    for name, value in tool.environment().items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value
    with (job.folder / LOG).open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                   cwd=job.folder, env=environ, start_new_session=True)  # fmt: skip
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise _failed(tool, job, f"it did not end within {timeout_s:.0f} s") from None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code != 0:
        raise _failed(tool, job, f"it ended with code {code}: {_last_words(job.folder / LOG)}")


def _failed(tool: Tool, job: Job, why: str) -> TridentError:
    return TridentError(
        f"{tool.NAME} could not repeat {job.load.label}; our own result is whole.", why, "read its log",
        log_path=job.folder / LOG,
    )  # fmt: skip


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
