from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pretended import prepare

from trident.config.models import Config
from trident.config.places import Place
from trident.monitor import live
from trident.monitor.reading import Reading
from trident.monitor.server_view import ServerView
from trident.monitor.sources.engine_files import EngineFiles
from trident.monitor.sources.process_cpu import cpu_s
from trident.monitor.sources.server_page import ServerPage
from trident.supervisor.metrics import families
from trident.supervisor.metrics.exposition import as_text
from trident.supervisor.state import ChildState, EngineCounts

COUNTS = """
import sys
from prometheus_client import Counter, Gauge, Histogram
n = int(sys.argv[1])
labels = {"model_name": "demo", "engine": "0"}
tokens = Counter("vllm:prompt_tokens", "Tokens.", labels).labels(**labels)
tokens.inc(n)
ended = Counter("vllm:request_success", "Ended.", [*labels, "finished_reason"])
ended.labels(**labels, finished_reason="stop").inc(n)
ended.labels(**labels, finished_reason="error").inc(1)
Gauge("vllm:num_requests_running", "Running.", labels, multiprocess_mode="mostrecent").labels(**labels).set(n)
Gauge("trident_admission_queued_requests", "Waits.", ["model_name"], multiprocess_mode="livesum").labels("demo").set(n)
times = Histogram("vllm:time_to_first_token_seconds", "Time.", labels, buckets=[0.001, 0.3, 2.5]).labels(**labels)
Counter("vllm:of_no_interest", "Other.", labels).labels(**labels).inc(n)
print("counted", flush=True)
for number, line in enumerate(sys.stdin):
    times.observe(float(line))
    Counter(f"vllm:late_{number}", "Pushes what follows further back.", labels).labels(**labels).inc()
    tokens.inc(1)
    print("counted", flush=True)
"""


class FrontEnd:
    """A process that counts."""

    def __init__(self, folder: Path, number: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COUNTS, str(number)], text=True,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.hear()

    def hear(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "counted\n"

    def observe(self, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.hear()

    def end(self) -> None:
        self.process.communicate()


def engine(folder: Path, **facts: Any) -> ChildState:
    counts = EngineCounts(
        folder=str(folder), served_name="demo", model="m", version="1", openai_host="127.0.0.1", openai_port=1
    )
    return ChildState(name="engine host", log_path="", process=None, phase="ready", since=0, is_ready=True, restarts=0,
                      counts=counts, facts=facts)  # fmt: skip


def compared(source: EngineFiles, folder: Path) -> Reading:
    """What the source says, which is what the library's own collector says."""
    ours = Reading(asyncio.run(source.read()).encode(), 0.0)
    theirs = Reading(as_text(families.of_folder(folder)), 0.0)
    names = {name for name in theirs._lines if live._family(name.removesuffix("_bucket")) in live.wanted()}
    assert names == set(ours._lines)
    for name in names:
        without_served_name = [({**one.labels, "model_name": "demo"}, one.value) for one in theirs.samples(name)]
        said = [(dict(one.labels), one.value) for one in ours.samples(name)]
        assert sorted(said, key=str) == sorted(without_served_name, key=str), name
    return ours


def test_files_say_what_the_librarys_collector_says_while_they_grow_and_processes_come_and_go(tmp_path: Path) -> None:
    source = EngineFiles(lambda: [engine(tmp_path)], ServerPage(Place("127.0.0.1", 1)), live.wanted())
    first = FrontEnd(tmp_path, 5)
    assert compared(source, tmp_path).sum("vllm:num_requests_running") == 5
    second = FrontEnd(tmp_path, 7)
    assert compared(source, tmp_path).sum("trident_admission_queued_requests") == 12
    for seconds in (0.01, 0.2, 9.0):
        first.observe(seconds)
        second.observe(seconds / 20)
        found = compared(source, tmp_path)
    assert found.sum("vllm:prompt_tokens_total") == 18
    assert found.buckets("vllm:time_to_first_token_seconds")[0.3] == 4
    first.end()
    assert compared(source, tmp_path).sum("trident_admission_queued_requests") == 7, "the dead have no gauges"
    second.end()
    assert compared(source, tmp_path).sum("vllm:num_requests_running") is None


def test_a_broken_file_is_an_error_and_none_is_silence(tmp_path: Path) -> None:
    source = EngineFiles(lambda: [engine(tmp_path)], ServerPage(Place("127.0.0.1", 1)), live.wanted())
    assert asyncio.run(source.read()) == ""
    (tmp_path / "counter_1.db").write_bytes(b"\xff\x00\x00\x00")
    with pytest.raises(ValueError, match="cut off"):
        asyncio.run(source.read())


def test_a_rust_front_end_counts_in_no_file_so_the_page_is_asked(tmp_path: Path) -> None:
    class Page(ServerPage):
        async def read(self) -> str:
            return "asked"

    source = EngineFiles(lambda: [engine(tmp_path, openai_server="rust")], Page(Place("", 1)), live.wanted())
    assert asyncio.run(source.read()) == "asked"


def test_live_sources_have_the_children_and_their_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    config = Config(model="demo")
    prepare(config)
    page = asyncio.run(live.exporter(ServerView(config.run_dir, config), config).collect())
    found = Reading(page, 0.0)
    assert found.sum("trident_child_restarts_total") == 0
    assert {one.labels["child"] for one in found.samples("trident_process_cpu_seconds_total")} >= {
        "engine core",
        "stub 1",
    }
    assert {one.labels["source"]: one.value for one in found.samples("trident_monitor_source_up")}["engine_files"] == 1


def test_cpu_of_a_process_that_is_gone_is_none() -> None:
    assert cpu_s(2**22 + 1) is None
    assert cpu_s(os.getpid()) is not None
