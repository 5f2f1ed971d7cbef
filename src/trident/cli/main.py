"""The command ``trident``.

Do not import anything large here, nor in a command's file at its top: ``trident --help`` answers in 0.2 s because
each command's module is imported only when that command runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import typer

import trident
from trident.cli import show
from trident.errors import TridentError


class Entry(NamedTuple):
    """Where a command is, and its line in the help."""

    module: str
    summary: str


COMMANDS = {
    "serve": Entry("trident.cli.serve", "Serve a model over KServe and OpenAI."),
    "status": Entry("trident.cli.status", "Show what a server is doing."),
    "top": Entry("trident.cli.top", "Watch a server: rates, latencies, requests, hints."),
    "logs": Entry("trident.cli.logs", "Show the logs of a server and its children."),
    "reload": Entry("trident.cli.reload", "Change engine arguments or the model of a running server."),
    "stop": Entry("trident.cli.stop", "Stop a server."),
    "chat": Entry("trident.cli.chat", "Chat with the running server."),
    "generate": Entry("trident.cli.generate", "Get one answer from the running server."),
    "monitor": Entry("trident.cli.monitor", "Watch a running server: page, metrics, alerts."),
    "triton-dir": Entry("trident.cli.triton_dir", "Make a folder to run tritonserver from yourself."),
    "bench": Entry("trident.cli.bench", "Load a server and measure what its users would feel."),
    "tune": Entry("trident.cli.tune", "Find the configuration that serves a load best."),
    "repo": Entry("trident.cli.repo", "Write a model repository for another tritonserver."),
    "pull": Entry("trident.cli.pull", "Fetch a model without serving it."),
    "doctor": Entry("trident.cli.doctor", "Say what is wrong here, and what helps."),
    "env": Entry("trident.cli.env", "Show versions, machine and places, for a bug report."),
    "service": Entry("trident.cli.service", "Run a server as a service of systemd."),
    "completion": Entry("trident.cli.completion", "Print what a shell needs to complete this command."),
    "setup": Entry("trident.cli.setup", "Install what serving needs, once."),
    "engine": Entry("trident.cli.engine", "Show, choose and remove vLLM's environments."),
}

UNEXPECTED_EXIT_CODE = 1
USAGE_EXIT_CODE = 2
INTERRUPTED_EXIT_CODE = 130

# typer brings a click of its own and exports of its errors only this one's subclass.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def build_app(arguments: Sequence[str]) -> typer.Typer:
    """The application, with the one command that ``arguments`` name and only the names of all others."""
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    app = typer.Typer(
        name="trident",
        help="The real vLLM engine behind the real Triton Inference Server, from one command.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Rich takes 0.2 s to import: worth it for a command's many flags, not for the list of commands.
        rich_markup_mode="rich" if wanted in COMMANDS else None,
    )
    app.callback()(_options)
    for name, entry in COMMANDS.items():
        if name == wanted:
            _register(app, name, entry)
        else:
            app.command(name, help=entry.summary)(_not_loaded)
    return app


def _register(app: typer.Typer, name: str, entry: Entry) -> None:
    module = import_module(entry.module)
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
        return
    settings = getattr(module, "COMMAND_SETTINGS", {})
    app.command(name, **settings)(getattr(module, name.replace("-", "_")))


def _not_loaded() -> None:
    """Never called: the command that is called is loaded."""


def _print_version(asked: bool) -> None:
    if asked:
        show.line(f"trident {trident.__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_print_version, is_eager=True),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks; may stand anywhere."),
) -> None:
    del version, debug


def _complete() -> None:
    """Answers a shell that completes a line, and exits."""
    from typer._completion_classes import completion_init

    from trident.cli.completion import VARIABLE, typed_words

    completion_init()
    build_app(typed_words() or [])(args=[], prog_name="trident", complete_var=VARIABLE)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its code."""
    show.open_closed_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "_TRIDENT_COMPLETE" in os.environ:
        _complete()
    is_debugging = "--debug" in given
    given = [word for word in given if word != "--debug"]
    try:
        # With standalone_mode typer would print usage errors in a form of its own, a box.
        code = build_app(given)(args=given, prog_name="trident", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UsageError as error:
        show.usage(error)
        sys.exit(USAGE_EXIT_CODE)
    except TridentError as error:
        if is_debugging:
            raise
        show.error(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED_EXIT_CODE)
    except Exception as error:  # the last place where a defect can be told in a useful way
        if is_debugging:
            raise
        show.defect(error)
        sys.exit(UNEXPECTED_EXIT_CODE)
