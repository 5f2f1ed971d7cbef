"""``trident reload``: another engine, other arguments or another model, while the server runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trident.cli import show
from trident.cli.flags import with_settings
from trident.cli.passed_through import PassThroughCommand
from trident.cli.told import Told

if TYPE_CHECKING:
    from trident.config.engine_arguments import Given
    from trident.config.models import Config
    from trident.supervisor.control import Wanted

COMMAND_SETTINGS = {
    "cls": PassThroughCommand,
    "epilog": "The configuration file is read again; variables and flags that serve was told count still, and those "
    "given here count more. Any other --option is an argument of vLLM.",
}


@with_settings
def reload(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Another model. (default the one that is served)")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Another configuration file.")] = None,
    stop_first: Annotated[
        bool, typer.Option("--stop-first", help="Stop the old engine before the new one starts, even if both fit.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Leave out what serve was told by flags and variables.")
    ] = False,
    *,
    flags: Mapping[str, Any],
) -> None:
    """Change engine arguments or the model of a running server. Says beforehand what will be done."""
    from trident.cli.serve import find_model, with_engine_arguments
    from trident.cli.status import running
    from trident.supervisor import changes, launch, run_directory
    from trident.supervisor.control import Wanted

    found = running(flags.get("name"))
    before = run_directory.config_of(Path(found.run_dir))
    given: Sequence[Given] = ctx.obj or ()
    mine = Told.now({**flags, "model": model}, given, config)
    earlier = Told.load(Path(found.run_dir))
    told = (Told(file=earlier.file) if fresh else earlier).with_later(mine)
    for name, value in told.environ.items():
        os.environ.setdefault(name, value)
    resolved = with_engine_arguments({**told.flags, "name": found.name}, told.file, told.given)
    if not changes.check(before, resolved):
        show.line(f"Nothing has changed: {found.name} goes on as it is")
        return
    wanted = Wanted(told=launch.told(resolved, find_model(resolved)), stops_first=stop_first, is_dry_run=dry_run)
    _carry_out(before, wanted)
    if not dry_run:
        told.save(Path(found.run_dir))
        show.line(f"{found.name} is reloaded")


def _carry_out(before: Config, wanted: Wanted) -> None:
    """Prints what the server says. Raises its error."""
    from trident.cli.detached import revived
    from trident.errors import NotRunning, ServerFailed
    from trident.supervisor import control

    try:
        for answer in control.ask(before.sockets_dir / control.FILE_NAME, wanted):
            if isinstance(answer, control.Says):
                show.line(answer.text)
            elif isinstance(answer, control.Refused):
                raise revived(answer.error)
            else:
                return
    except OSError as error:
        raise NotRunning(f"The server {before.name} takes no commands", str(error), "see trident status") from error
    raise ServerFailed(
        f"The server {before.name} has broken the reload off", "it stops, or has failed", "see: trident logs supervisor"
    )
