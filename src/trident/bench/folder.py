"""Writes and reads a result folder. Every file is written beside its place and renamed; ``result.json`` comes last."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from trident.bench.result import PERCENTILES, SCHEMA_VERSION, Distribution, Point, RequestRow, Result, Scrape
from trident.errors import ConfigurationError

RESULT, POINTS, REQUESTS = "result.json", "points.csv", "requests.csv"
ARRIVALS, SERVER_METRICS = "arrivals.npz", "server_metrics.jsonl"


class Arrivals(NamedTuple):
    """Token events of all requests, in the order of ``requests.csv``: those of row i are
    ``arrival_ns[offsets[i]:offsets[i + 1]]``, in ns since the run's origin."""

    offsets: NDArray[np.int64]
    arrival_ns: NDArray[np.int64]

    def of(self, row: int) -> NDArray[np.int64]:
        """The arrivals of one request."""
        return self.arrival_ns[self.offsets[row] : self.offsets[row + 1]]

    @classmethod
    def join(cls, each: Sequence[NDArray[np.int64]]) -> Arrivals:
        """From one array for each request."""
        offsets = np.zeros(len(each) + 1, np.int64)
        np.cumsum([len(one) for one in each], out=offsets[1:])
        return cls(offsets, np.concatenate(each).astype(np.int64) if each else np.zeros(0, np.int64))


def write(
    folder: Path, result: Result, rows: Sequence[RequestRow], arrivals: Arrivals, scrapes: Iterable[Scrape]
) -> None:
    """Makes ``folder`` where it is missing; replaces what it holds of an earlier write of the same run."""
    folder.mkdir(parents=True, exist_ok=True)
    _atomically(folder / REQUESTS, lambda file: _write_rows(file, rows))
    _atomically(folder / ARRIVALS, lambda file: np.savez_compressed(file, **arrivals._asdict()), binary=True)
    lines = b"".join(msgspec.json.encode(scrape) + b"\n" for scrape in scrapes)
    _atomically(folder / SERVER_METRICS, lambda file: file.write(lines), binary=True)
    _atomically(folder / POINTS, lambda file: _write_points(file, result.points))
    text = msgspec.json.format(msgspec.json.encode(result), indent=2)
    _atomically(folder / RESULT, lambda file: file.write(text), binary=True)


def read(folder: Path) -> Result:
    """Raises ConfigurationError for what is no result folder, or one of another version."""
    path = folder / RESULT
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=_Version).schema_version
        if version != SCHEMA_VERSION:
            raise ConfigurationError(
                f"{path} is of schema version {version}",
                f"this Trident reads version {SCHEMA_VERSION}",
                "read it with the Trident that wrote it",
            )
        return msgspec.json.decode(content, type=Result)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(
            f"{folder} is no result of trident bench", str(error), "name a folder that trident bench has written"
        ) from error


def read_rows(folder: Path) -> list[RequestRow]:
    """The requests, in the order of ``read_arrivals``."""
    with (folder / REQUESTS).open(newline="", encoding="utf-8") as file:
        optional = {field.name for field in msgspec.structs.fields(RequestRow) if field.default is None}
        return [
            msgspec.convert(
                {name: None if name in optional and value == "" else value for name, value in row.items()},
                RequestRow,
                strict=False,
            )
            for row in csv.DictReader(file)
        ]


def read_arrivals(folder: Path) -> Arrivals:
    """When token events arrived."""
    with np.load(folder / ARRIVALS) as arrays:
        return Arrivals(arrays["offsets"], arrays["arrival_ns"])


def read_scrapes(folder: Path) -> list[Scrape]:
    """The server's metrics while the run went on."""
    lines = (folder / SERVER_METRICS).read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Scrape) for line in lines]


class _Version(msgspec.Struct):
    schema_version: int


def _atomically(path: Path, write: Callable[[IO[Any]], object], *, binary: bool = False) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb" if binary else "w", newline=None if binary else "") as file:
            write(file)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _write_rows(file: IO[str], rows: Sequence[RequestRow]) -> None:
    names = [field.name for field in msgspec.structs.fields(RequestRow)]
    writer = csv.writer(file)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])


def _write_points(file: IO[str], points: Sequence[Point]) -> None:
    flat = [_flat(point) for point in points]
    names = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(file, names, restval="")
    writer.writeheader()
    for row in flat:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, bool):
        return str(value).lower()
    return value


def _flat(point: Point) -> dict[str, Any]:
    row: dict[str, Any] = {"point": point.index, "load": point.load.label, "level": point.load.level}
    row |= {"window_s": point.window.seconds, "stopped_by": point.stopped_by}
    row |= msgspec.to_builtins(point.counts)
    row |= {"client_bound": point.client.client_bound, "output_source": point.tokens.output_source}
    for name, rate in point.rates.items():
        unit = rate.unit.replace("/", "_per_")
        row[name if rate.unit == "share" else f"{name}_{unit}"] = rate.value
    for name, distribution in point.distributions.items():
        row |= _flat_distribution(f"{name}_ms" if distribution.unit == "ms" else name, distribution)
    return row


def _flat_distribution(name: str, distribution: Distribution) -> dict[str, Any]:
    row: dict[str, Any] = {f"{name}_n": distribution.n}
    for statistic in ("mean", *PERCENTILES):
        estimate = getattr(distribution, statistic)
        if estimate is not None:
            row |= {f"{name}_{statistic}": estimate.value}
            row |= {f"{name}_{statistic}_low": estimate.low, f"{name}_{statistic}_high": estimate.high}
    return row
