"""``trident top``: the live page in the terminal. It reads for itself, so the monitor need not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trident.cli import show

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from trident.config.models import Config
    from trident.monitor.sampler import Sampler
    from trident.monitor.snapshot import Snapshot

READINGS_FOR_A_RATE = 2


def top(
    name: Annotated[str | None, typer.Option("--name", help="Name of the server.")] = None,
    refresh_s: Annotated[float, typer.Option("--refresh-s", min=0.2, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one moment and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One moment for programs: as the page gets it.")] = False,
) -> None:
    """Watch a running server: rates, latencies, queue, KV cache, GPU, requests in flight, and what slows it down."""
    import asyncio
    import contextlib

    run_dir, config = found(name)
    with contextlib.suppress(KeyboardInterrupt):
        if as_json or once or not show.is_terminal():
            asyncio.run(_moment(run_dir, config, as_json=as_json))
        else:
            asyncio.run(_watch(run_dir, config, refresh_s))


def found(name: str | None) -> tuple[Path, Config]:
    """Run directory and configuration of a running server. Raises NotRunning."""
    from pathlib import Path

    from trident.cli.status import running
    from trident.supervisor.run_directory import config_of

    run_dir = Path(running(name).run_dir)
    return run_dir, config_of(run_dir)


async def _moment(run_dir: Path, config: Config, *, as_json: bool) -> None:
    """After a second, as rates need two readings."""
    import msgspec

    from trident.cli import top_view

    sampler = _sampler(run_dir, config, 1.0)
    async for snapshot in _snapshots(sampler):
        if snapshot.number + 1 < READINGS_FOR_A_RATE:
            continue
        if as_json:
            show.line(msgspec.json.format(msgspec.json.encode(snapshot)).decode())
        else:
            show.console().print(top_view.screen(snapshot, sampler.view, sampler.history, rows=40))
        break


async def _watch(run_dir: Path, config: Config, refresh_s: float) -> None:
    from rich.live import Live

    from trident.cli import top_view

    sampler, console = _sampler(run_dir, config, refresh_s), show.console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        async for snapshot in _snapshots(sampler):
            shown = top_view.screen(snapshot, sampler.view, sampler.history, rows=console.height)
            live.update(shown, refresh=True)


def _sampler(run_dir: Path, config: Config, refresh_s: float) -> Sampler:
    from dataclasses import replace

    from trident.monitor.sampler import Sampler

    sampler = Sampler.of(run_dir, config)
    sampler.settings = replace(sampler.settings, refresh_s=refresh_s)
    return sampler


async def _snapshots(sampler: Sampler) -> AsyncGenerator[Snapshot, None]:
    import asyncio
    from contextlib import aclosing

    reading = asyncio.ensure_future(sampler.run())
    try:
        async with aclosing(sampler.watch()) as snapshots:
            async for snapshot in snapshots:
                yield snapshot
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
