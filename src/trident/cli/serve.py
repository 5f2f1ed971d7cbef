"""``trident serve``: from a model's name to open doors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trident.cli import show
from trident.cli.flags import with_settings
from trident.cli.passed_through import PassThroughCommand
from trident.errors import EngineStartFailed

if TYPE_CHECKING:
    from trident.config.engine_arguments import Given
    from trident.config.models import Config
    from trident.models.resolve import ResolvedModel
    from trident.supervisor.state import ServerState

COMMAND_SETTINGS = {
    "cls": PassThroughCommand,
    "epilog": "Any other --option is an engine or server argument of vLLM, for instance --max-model-len 4096.",
}
TICK_S = 0.1


@with_settings
def serve(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="demo, a folder, a Hugging Face id or a ModelScope id. (default demo)")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file. (default trident.toml)")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Go on in the background once the server is ready.")] = False,
    *,
    flags: Mapping[str, Any],
) -> None:
    """Serve a model over KServe (HTTP, gRPC) and OpenAI, all on one vLLM engine; or Triton's own repositories."""
    started = time.time()
    given: Sequence[Given] = ctx.obj or ()
    resolved = configuration({**flags, "model": model}, config, given)
    found = find_model(resolved)
    _examine(resolved, found)
    _remember({**flags, "model": model}, config, given, resolved)
    try:
        if detach:
            from trident.cli.detached import serve_detached

            serve_detached(resolved, found, started)
        else:
            serve_here(resolved, found, started)
    except EngineStartFailed as error:
        error.next_step += "; trident doctor reads the logs" + (
            "" if resolved.name == "default" else f" (--name {resolved.name})"
        )
        raise


def _examine(config: Config, model: ResolvedModel | None) -> None:
    """The doctor's quick checks: what vLLM or Triton would refuse after a minute, in words that do not help. Raises
    EnvironmentBroken."""
    from trident.config import paths
    from trident.doctor import examination
    from trident.doctor.patient import Patient

    examination.refuse_what_cannot_work(Patient(paths.data_dir(), config, found=model))


def _remember(flags: Mapping[str, Any], file: Path | None, given: Sequence[Given], resolved: Config) -> None:
    from trident.cli.told import Told
    from trident.supervisor import run_directory

    try:
        Told.now(flags, given, file).save(resolved.run_dir)
    except OSError as error:
        raise run_directory.unusable(resolved.run_dir, error) from error


def configuration(flags: Mapping[str, Any], file: Path | None, given: Sequence[Given]) -> Config:
    """The whole configuration, vLLM's arguments checked. What cannot work is refused in the order of its cost: settings
    and ports in an instant, arguments after the engine is installed. Raises CannotStart."""
    from trident.config import load
    from trident.supervisor import gateway, ports, run_directory
    from trident.triton import user_models

    first = load(flags, file=file)
    run_directory.check_free(first)
    gateway.check(first)
    if first.monitor.monitor:
        from trident.monitor import watchers

        watchers.check(first)
    ports.probe(first)
    user_models.find(first)
    return with_engine_arguments(flags, file, given)


def with_engine_arguments(flags: Mapping[str, Any], file: Path | None, given: Sequence[Given]) -> Config:
    """The configuration with vLLM's arguments in their tables, checked; installs the engine, which knows them, if need
    be. Raises CannotStart."""
    from trident.cli.setup import ensure_engine
    from trident.config import load, paths
    from trident.config.engine_arguments import EngineArguments
    from trident.errors import ConfigurationError

    first = load(flags, file=file)
    env = ensure_engine(first.runtime.engine_build, paths.data_dir(), offline=first.runtime.offline)
    arguments = EngineArguments.read(env.arguments_path)
    tables, words = arguments.sort(given)
    model = flags.get("model")
    if words and model is None:
        model = words.pop(0)
    if words:
        raise ConfigurationError(
            f"{words[0]!r} is one word too many", f"the model is {model!r} already", "see trident serve --help"
        )
    whole = load({**flags, "model": model, "engine": tables["engine"], "openai": tables["openai"]}, file=file)
    checked = arguments.check({"engine": whole.engine, "openai": whole.openai})
    return whole.model_copy(update={"engine": checked["engine"], "openai": checked["openai"]})


def find_model(config: Config) -> ResolvedModel | None:
    """The model's folder, None without a model; a download shows its progress. Raises ModelNotFound, ModelUnusable."""
    from trident.config import paths
    from trident.models.resolve import resolve

    if config.model is None:
        return None
    return resolve(
        config.model,
        config.hub,
        paths.data_dir(),
        offline=config.runtime.offline,
        report=show.note,
        needs_weights=config.needs_weights,
    )


def serve_here(config: Config, model: ResolvedModel | None, started: float) -> None:
    """Runs the supervisor in this process until it is told to stop."""
    import asyncio

    from trident.cli import ready, view
    from trident.supervisor import open_files
    from trident.supervisor.plan import RealPlanner
    from trident.supervisor.server import Server

    open_files.allow_many()
    shown: view.View = view.make(started)
    was_ready = False

    def on_change(state: ServerState) -> None:
        with show.going_on():
            present(state)

    def present(state: ServerState) -> None:
        nonlocal shown, was_ready
        shown.update(state)
        if state.phase == "ready" and not was_ready:
            was_ready = True
            # The table stays as it is above the URLs; what happens later gets a new one below them.
            shown.close()
            for line in ready.lines(state, config, time.time() - started, is_detached=False):
                show.line(line)
            shown = view.PlainView(started, known=state)

    def tick() -> None:
        with show.going_on():
            shown.tick()

    async def run() -> None:
        ticking = asyncio.ensure_future(_tick(tick))
        try:
            await Server(config, RealPlanner(config, model), on_change).run()
        finally:
            ticking.cancel()
            with show.going_on():
                shown.close()

    asyncio.run(run())


async def _tick(draw: Callable[[], None]) -> None:
    import asyncio

    while True:
        await asyncio.sleep(TICK_S)
        draw()
