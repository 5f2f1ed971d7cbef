"""``trident bench sweep``: one load after the other."""

from __future__ import annotations

from typing import Annotated

import typer

from trident.bench.sweep import Doubling, Levels, Listed
from trident.cli.bench_options import Options, with_options
from trident.cli.bench_session import measure
from trident.errors import ConfigurationError

AUTO = "auto"
MOST_CONCURRENCY, MOST_RATE_PER_S = 1024, 4096.0


@with_options
def sweep(
    options: Options,
    concurrency: Annotated[
        str | None,
        typer.Option(rich_help_panel="Load", help="A list as 1,4,16, or auto: doubled until the server is saturated."),
    ] = None,
    request_rate: Annotated[
        str | None, typer.Option(rich_help_panel="Load", help="The same for requests per second: 1,2,4 or auto.")
    ] = None,
) -> None:
    """Load a server at several levels and write one result folder."""
    if options.trace is not None or (concurrency is not None and request_rate is not None):
        raise ConfigurationError(
            "A sweep goes over concurrencies or over rates", "it is told more than one", "give one of them, no --trace"
        )
    measure(options, _levels(options, concurrency or AUTO if request_rate is None else None, request_rate))


def _levels(options: Options, concurrency: str | None, request_rate: str | None) -> Levels:
    if concurrency is not None:
        if concurrency == AUTO:
            return Doubling(options.closed(1), MOST_CONCURRENCY)
        return Listed([options.closed(round(level)) for level in _numbers("--concurrency", concurrency)])
    if request_rate == AUTO:
        return Doubling(options.open(1.0), MOST_RATE_PER_S)
    return Listed([options.open(level) for level in _numbers("--request-rate", request_rate or "")])


def _numbers(flag: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigurationError(
            f"{flag} {text} is no list", "it is auto, or numbers with commas between", f"for instance {flag} 1,4,16"
        ) from None
