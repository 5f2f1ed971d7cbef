"""``trident bench run``: one load."""

from __future__ import annotations

from typing import Annotated

import typer

from trident.bench.sweep import Listed
from trident.cli.bench_options import Options, with_options
from trident.cli.bench_session import measure
from trident.errors import ConfigurationError

DEFAULT_CONCURRENCY = 8


@with_options
def run(
    options: Options,
    concurrency: Annotated[
        int | None,
        typer.Option(rich_help_panel="Load", help=f"So many clients at a time (default {DEFAULT_CONCURRENCY})."),
    ] = None,
    request_rate: Annotated[
        float | None, typer.Option(rich_help_panel="Load", help="Or so many requests a second, come what may.")
    ] = None,
) -> None:
    """Load a server once and write a result folder."""
    if sum(given is not None for given in (concurrency, request_rate, options.trace)) > 1:
        raise ConfigurationError(
            "--concurrency, --request-rate and --trace exclude each other",
            "a rate that waits for free clients is no rate: it hides the waiting (coordinated omission)",
            "give one of them",
        )
    is_open = request_rate is not None or options.trace is not None
    load = (
        options.open(request_rate)
        if is_open
        else options.closed(DEFAULT_CONCURRENCY if concurrency is None else concurrency)
    )
    measure(options, Listed([load]))
