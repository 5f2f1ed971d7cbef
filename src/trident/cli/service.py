"""``trident service``: a server under systemd."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trident.cli import show

app = typer.Typer(help="Run a server as a service of systemd.", no_args_is_help=True)

CARRIED = (
    "TRIDENT_DATA_DIR",
    "TRIDENT_STATE_DIR",
    "HF_HOME",
    "HF_ENDPOINT",
    "MODELSCOPE_CACHE",
    "CUDA_VISIBLE_DEVICES",
)
"""Variables of now that the service gets too; those with secrets belong into files."""
System = Annotated[bool, typer.Option("--system", help="The machine's service (root), not this user's.")]
Name = Annotated[str | None, typer.Option("--name", help="Name of the server. (default the configured one)")]
NOT_ACTIVE_EXIT_CODE = 4


@app.command()
def install(
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file. (default trident.toml)")] = None,
    system: System = False,
    user: Annotated[str | None, typer.Option("--user", help="With --system: the account that serves.")] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Only show the unit file.")] = False,
) -> None:
    """Write a unit for the configured server, enable and start it. Everything about the server stands in its
    configuration file."""
    from trident.config import load
    from trident.config.load import FILE_NAME
    from trident.errors import ConfigurationError
    from trident.service.systemd import Manager
    from trident.service.unit import Unit

    if system and not user:
        raise ConfigurationError("--system wants --user", "a server should not run as root", "--user ACCOUNT")
    if user and not system:
        raise ConfigurationError("--user goes with --system", "a user's own service runs as that user", "leave it out")
    resolved = load(file=config)
    file = (config or Path(FILE_NAME)).absolute()
    words = [sys.executable, "-m", "trident", "serve"]
    if file.is_file():
        words += ["--config", str(file)]
    variables = {name: os.environ[name] for name in CARRIED if os.environ.get(name)}
    variables["PATH"] = os.environ.get("PATH", os.defpath)
    unit = Unit(resolved, words, file.parent, variables, user)
    if print_only:
        show.line(unit.text().rstrip())
        return
    manager = Manager(system)
    manager.check()
    path = manager.install(unit)
    flag = "" if system else " --user"
    show.line(f"{unit.name} is installed ({path}) and starts")
    show.line(f"watch it: trident status --name {resolved.name}; journalctl{flag} -fu {unit.name}")
    if not system:
        show.line("to keep it when you log out: loginctl enable-linger")


@app.command()
def status(name: Name = None, system: System = False) -> None:
    """What systemd says of the service. Exit code: 0 active, 4 not."""
    from trident.service.systemd import Manager

    manager = Manager(system)
    manager.check()
    unit = _unit_name(name)
    found = manager.properties(unit)
    state = f"{found.get('ActiveState', '?')} ({found.get('SubState', '?')})"
    if found.get("LoadState") == "not-found":
        state = "not installed"
    show.line(f"{unit} is {state} since {found.get('ActiveEnterTimestamp') or '-'}")
    show.line(
        f"process {found.get('MainPID', '0')}, restarts {found.get('NRestarts', '0')}, last exit code "
        f"{found.get('ExecMainStatus', '0')}, {found.get('UnitFileState') or 'not enabled'}"
    )
    if found.get("ActiveState") != "active":
        raise typer.Exit(NOT_ACTIVE_EXIT_CODE)


@app.command()
def remove(name: Name = None, system: System = False) -> None:
    """Stop the service and delete its unit; the server's logs and models stay."""
    from trident.service.systemd import Manager

    manager = Manager(system)
    manager.check()
    show.line(f"{manager.remove(_unit_name(name))} is removed")


def _unit_name(name: str | None) -> str:
    from trident.config import load

    return f"trident-{name or load().name}.service"
