"""``trident setup``: make everything ready that serving needs, without serving. Idempotent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trident.cli import show

if TYPE_CHECKING:
    from rich.console import Console

    from trident.runtime.engine_env import BuildChoice, EngineEnv
    from trident.runtime.progress import Progress, Report

MIB_BYTES = 1 << 20
PLAIN_INTERVAL_S = 5.0
VERSION = re.compile(r"\d+(\.\d+)+(rc\d+|\.post\d+)?")


class Engine(str, Enum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def setup(
    engine: Annotated[Engine, typer.Option(help="vLLM build: cpu, cuda, or auto from the machine.")] = Engine.auto,
    engine_version: Annotated[
        str | None,
        typer.Option(help="Another version of vLLM, beside the one that is there, and used from then on."),
    ] = None,
) -> None:
    """Install the engine environment and check Triton. Run again, it does nothing and needs no network."""
    from rich.console import Console

    from trident.config.paths import data_dir
    from trident.runtime.control_env import triton_install

    console = Console()
    place = data_dir()
    triton = triton_install(place)
    if engine_version is None:
        env = ensure_engine(engine.value, place, console)
    else:
        env = other_engine(engine.value, engine_version, place, console)
    console.print(f"engine  vLLM {env.vllm_version} ({env.build}) in {env.path}", highlight=False, soft_wrap=True)
    console.print(f"triton  {triton.server}", highlight=False, soft_wrap=True)


def ensure_engine(
    build: BuildChoice, data_dir: Path, console: Console | None = None, *, offline: bool = False
) -> EngineEnv:
    """The engine environment; installs it first, with progress on ``console``, where it is missing and ``offline``
    allows it. Every command that needs the engine calls this. Raises ``EnvironmentBroken``."""
    from trident.runtime import engine_env

    if found := engine_env.engine_env(build, data_dir):
        return found
    if offline:
        from trident.errors import EnvironmentBroken

        raise EnvironmentBroken(
            "vLLM is not installed", "installing it needs the network, and offline is set", "run once: trident setup"
        )
    from rich.console import Console

    return _with_progress(console or Console(), lambda report: engine_env.install(build, data_dir, report))


def other_engine(build: BuildChoice, version: str, data_dir: Path, console: Console) -> EngineEnv:
    """vLLM ``version``, installed where it is not yet, and chosen once it is complete: until then, and if it fails, the
    one that was used before still is. Raises ``EnvironmentBroken``."""
    from trident.errors import ConfigurationError
    from trident.runtime import engine_env, engine_install, engines
    from trident.runtime.pins import VLLM_VERSION

    if not VERSION.fullmatch(version):
        raise ConfigurationError(f"{version!r} is no version of vLLM", "one looks like 0.32.0", "give such a one")
    if version == VLLM_VERSION:
        engines.use(engines.DEFAULT, data_dir)
        return ensure_engine(build, data_dir, console)
    wanted = engine_env.chosen_build(build)
    known = [one for one in engines.engines(data_dir) if (one.build, one.vllm_version) == (wanted, version)]
    there = next((env for one in known if (env := engine_env.complete(one.path, wanted))), None)
    env = there or _with_progress(
        console, lambda report: engine_install.install(wanted, data_dir, report, version=version)
    )
    engines.use(env.path.name, data_dir)
    console.print(
        f"{env.path.name} is used from the next start on; back: trident engine use default",
        highlight=False,
        soft_wrap=True,
    )
    return env


def _with_progress(console: Console, install: Callable[[Report], EngineEnv]) -> EngineEnv:
    started = time.monotonic()
    try:
        with progress_on(console) as report:
            env = install(report)
    except KeyboardInterrupt:
        show.note("Interrupted: nothing half-made was left; what is downloaded stays in uv's cache")
        raise
    seconds = time.monotonic() - started
    console.print(f"installed vLLM {env.vllm_version} ({env.build}) in {seconds:.0f} s", highlight=False)
    return env


@contextmanager
def progress_on(console: Console) -> Iterator[Report]:
    """A report that shows on ``console``: a live line on a terminal, else a plain line now and then."""
    if not console.is_terminal:
        yield _plain(console)
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    with Bars(
        SpinnerColumn(),
        TextColumn("{task.fields[phase]:<9}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]:<22}"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
    ) as bars:
        task = bars.add_task("starting", total=None, phase="", amount="")

        def shown(progress: Progress) -> None:
            bars.update(
                task,
                description=progress.detail,
                completed=progress.done,
                total=progress.total or None,
                phase=progress.phase,
                amount=amount(progress),
            )

        yield shown


def amount(progress: Progress) -> str:
    """How much, in a few characters: packages and MiB, whichever is known."""
    parts = []
    if progress.total:
        parts.append(f"{progress.done}/{progress.total} pkgs")
    if progress.bytes:
        parts.append(f"{progress.bytes / MIB_BYTES:.0f} MiB")
    return ", ".join(parts)


def _plain(console: Console) -> Report:
    shown_phase = ""
    shown_at = 0.0

    def shown(progress: Progress) -> None:
        nonlocal shown_phase, shown_at
        # Single downloads come by the hundred; the start of a phase and the end of its work always show.
        ended = bool(progress.total) and progress.done == progress.total
        if progress.phase == shown_phase and not ended and time.monotonic() - shown_at < PLAIN_INTERVAL_S:
            return
        shown_phase, shown_at = progress.phase, time.monotonic()
        known = amount(progress)
        tail = f" [{known}]" if known else ""
        console.print(
            f"setup: {progress.phase}: {progress.detail}{tail}", highlight=False, markup=False, soft_wrap=True
        )

    return shown
