from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from trident.supervisor.metrics.counts import Counts

COUNTS = """
import sys
from prometheus_client import Counter, Histogram, Summary
labels = ["model_name", "engine"]
counter = Counter("vllm:prompt_tokens", "Tokens.", labels)
histogram = Histogram("vllm:ttft_seconds", "Time.", labels, buckets=[0.001, 0.3, 2])
summary = Summary("http_size_bytes", "Size.")
for engine in ("0", "1"):
    counter.labels("demo", engine).inc(int(sys.argv[1]))
    histogram.labels("demo", engine).observe(0.01)
    histogram.labels("demo", engine).observe(7)
summary.observe(5)
print("counted", flush=True)
for line in sys.stdin:
    histogram.labels("demo", line.strip()).observe(0.01)
    Counter(f"vllm:new_{line.strip()}", "New.").inc()
    print("counted", flush=True)
"""


class FrontEnd:
    """A process that counts when it is told to."""

    def __init__(self, folder: Path, tokens: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COUNTS, str(tokens)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._wait()

    def count(self, engine: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{engine}\n")
        self._process.stdin.flush()
        self._wait()

    def end(self) -> None:
        self._process.communicate(timeout=10)

    def _wait(self) -> None:
        assert self._process.stdout is not None and self._process.stdout.readline() == "counted\n"


def samples(metrics: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    return {
        (metric.type, metric.documentation, sample.name, *map(str, sorted(sample.labels.items()))): sample.value
        for metric in metrics
        for sample in metric.samples
    }


def as_prometheus_client(folder: Path) -> dict[tuple[str, ...], float]:
    files = [str(path) for path in folder.glob("*.db")]
    return samples(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


def test_every_look_is_what_prometheus_client_reads(tmp_path: Path) -> None:
    counts = Counts()

    def look() -> dict[tuple[str, ...], float]:
        return samples(counts.read(tmp_path.glob("*.db")))

    first = FrontEnd(tmp_path, 5)
    assert look() == as_prometheus_client(tmp_path) != {}
    first.count("0")
    assert look() == as_prometheus_client(tmp_path)
    second = FrontEnd(tmp_path, 7)
    second.count("2")
    first.end()
    assert look() == as_prometheus_client(tmp_path)
    second.end()
    assert look() == look() == as_prometheus_client(tmp_path)


def test_empty_file_of_a_process_that_begins_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").touch()

    assert Counts().read([tmp_path / "counter_1.db"]) == []


def test_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    FrontEnd(tmp_path, 5).end()
    (file,) = tmp_path.glob("counter_*.db")
    file.write_bytes(file.read_bytes()[:60])

    with pytest.raises(ValueError, match="ends in the midst"):
        Counts().read([file])
