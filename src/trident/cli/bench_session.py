"""Runs a load test in the terminal: looks at the server, shows how it goes, prints the figures, says how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import typer

from trident.bench import machine, preflight, report
from trident.bench import session as sessions
from trident.bench.plan import Load
from trident.bench.progress import Progress, Watch
from trident.bench.result import Result
from trident.bench.sweep import Levels
from trident.bench.workload import conversations
from trident.cli import bench_engine, bench_live, bench_summary, show
from trident.cli.bench_options import Options
from trident.errors import ClientBound, RequestFailed, ServerFailed, TridentError

CLIENTS_OF_A_WORKER = 32
MOST_WORKERS = 8
INTERRUPTED_EXIT_CODE = 130


def measure(options: Options, levels: Levels) -> None:
    """Raises what ended the run early, after its result is written."""
    slos, stop, workload = options.slos, options.stop, options.workload
    bench_engine.check(options.engine or [], options.checked_api, workload, is_trace=options.trace is not None)
    conversations(workload)  # a file that cannot be used is told before anybody is asked
    found = asyncio.run(preflight.look(options.checked_api, options.base_url, options.model, workload))
    folder = options.output or _new_folder(options.api)
    session = sessions.Session(
        folder=folder,
        command=["trident", *sys.argv[1:]],
        target=found.target,
        workload=msgspec.structs.replace(workload, text=found.text),
        levels=levels,
        stop=stop,
        slos=slos,
        workers=options.workers or _workers(levels.largest),
        metrics_urls=options.metrics_url or _metrics_urls(options),
        notes=found.notes,
    )
    result = asyncio.run(_run(session))
    for line in bench_summary.lines(result):
        show.line(line)
    try:
        if options.engine and result.complete:
            bench_engine.cross_check(options.engine, folder, result, options.engine_python)
    finally:
        show.line(f"\nresult  {folder}")
        show.line(f"report  {report.write(folder)}")
    _judge(result, allow_client_bound=options.allow_client_bound)


async def _run(session: sessions.Session) -> Result:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        interrupted.set()
        loop.remove_signal_handler(signal.SIGINT)  # the second one ends at once
        show.note("interrupted: writing what there is; again to end at once")

    loop.add_signal_handler(signal.SIGINT, interrupt)
    with _view() as watch:
        return await sessions.run(session, watch, interrupted)


@contextlib.contextmanager
def _view() -> Iterator[Watch]:
    """What is seen while it runs. A reader who goes away ends the showing, not the run."""
    view = bench_live.make()

    def watch(progress: Progress) -> None:
        with show.going_on():
            view.update(progress)

    try:
        yield watch
    finally:
        with show.going_on():
            view.close()


def _judge(result: Result, *, allow_client_bound: bool) -> None:
    """The exit code. An interruption is the user's wish; all else is an error with its three lines."""
    if result.partial_reason == "interrupted":
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    last = result.points[-1] if result.points else None
    why = result.partial_reason or "no load level was finished"
    if last is not None and last.stopped_by == "server gone":
        raise ServerFailed("The server stopped answering in the middle of the run", why, "look at the server's log")
    if last is None or (result.partial_reason is not None and last.stopped_by != "errors"):
        raise TridentError("The run was cut short", why, "run it again; the result says what there is")
    for point in result.points:
        ended = point.counts.ok + point.counts.errors
        if point.counts.ok == 0 or point.counts.errors > result.stop.max_error_share * ended:
            kinds = ", ".join(f"{error.count} x {error.kind}: {error.example}" for error in point.errors)
            raise RequestFailed(
                f"{point.counts.errors} of {ended} requests failed at {point.load.label}",
                kinds or "nothing was answered",
                "look at requests.csv in the result, and at the server's log",
            )
    bound = [point for point in result.points if point.client.client_bound]
    if bound and not allow_client_bound:
        raise ClientBound(
            f"The client was the bottleneck at {', '.join(point.load.label for point in bound)}",
            "; ".join(bound[0].client.reasons),
            "use a quieter or larger machine, more --workers, or less load; --allow-client-bound takes it as it is",
        )


def _workers(load: Load) -> int:
    """Half of the cores: on one machine with the server the other half is the server's."""
    most = max(1, min(MOST_WORKERS, machine.cores() // 2))
    return most if load.concurrency is None else min(most, -(-load.concurrency // CLIENTS_OF_A_WORKER))


def _metrics_urls(options: Options) -> list[str]:
    """Where vLLM and Triton have theirs; what does not answer is asked once."""
    url = options.base_url if "://" in options.base_url else f"http://{options.base_url}"
    parts = urlsplit(url)
    if options.api.startswith("openai"):
        return [f"{parts.scheme}://{parts.netloc}/metrics"]
    local = [f"http://{parts.hostname}:9000/metrics"] if options.url is None else []
    return [f"http://{parts.hostname}:8002/metrics", *local]


def _new_folder(api: str) -> Path:
    return Path("bench-results") / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{api}"
