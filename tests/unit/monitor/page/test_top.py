from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pretended import Metrics, busy, prepare, requests
from rich.console import Console

from trident.cli import top_view
from trident.config.models import Config
from trident.monitor.sampler import Sampler
from trident.monitor.server_view import ServerView
from trident.monitor.settings import Settings
from trident.monitor.snapshot import Snapshot
from trident.protocol.in_flight import Told

GPU = """trident_gpu_memory_total_bytes{gpu="0",name="H100"} 85899345920
trident_gpu_memory_used_bytes{gpu="0",name="H100"} 68719476736
trident_gpu_utilization_ratio{gpu="0",name="H100"} 0.93
trident_gpu_power_watts{gpu="0",name="H100"} 612
trident_gpu_throttled{gpu="0",name="H100",reason="sw_power_cap"} 1
"""


def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics: Metrics, in_flight: int, rows: int = 40) -> str:
    """The screen after two readings, ten seconds of load apart."""
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    config = Config(model="demo")
    prepare(config)
    view, now = ServerView(config.run_dir, config), [100.0]

    async def collect() -> bytes:
        return metrics.text

    async def two() -> Snapshot:
        await sampler.read()
        now[0] += 10
        busy(metrics, 10.0, requests=20)
        return await sampler.read()

    sampler = Sampler(collect, view, Settings(), clock=lambda: now[0])
    made = asyncio.run(two())
    made.requests = Told(requests(in_flight)[:8], in_flight)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(top_view.screen(made, view, sampler.history, rows))
    return console.export_text()


def test_screen_has_rates_latencies_promises_hints_and_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = drawn(tmp_path, monkeypatch, Metrics(), in_flight=12)
    assert "trident · demo  ready  up 1 h 6 min" in text
    assert "output    620 tokens/s  prompt 900 tokens/s" in text
    assert "running   12 of 32" in text
    for label in ("first token", "between tokens", "whole request", "prefill 60 ms", "SLO ttft ≤ 1 s", "team-a"):
        assert label in text, label
    assert "9.5 s  decoding  300/512" in text
    assert "GPU" not in text


def test_screen_shows_gpus_where_there_are_some_and_what_throttles_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = drawn(tmp_path, monkeypatch, Metrics(extra=GPU), in_flight=0)
    assert "GPU 0  H100  93 %  64.0 of 80.0 GiB  612 W" in text
    assert "● GPU 0 is throttled: sw_power_cap." in text
    assert "nothing is in flight" in text


def test_small_screen_leaves_requests_out_and_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "9 more" in drawn(tmp_path, monkeypatch, Metrics(), in_flight=12, rows=10)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0"), (0.0423, "0.042"), (1.5, "1.5"), (12.34, "12.3"), (4210.0, "4,210")]
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert top_view.number(value) == text


def test_without_a_server_it_says_what_to_do(tmp_path: Path) -> None:
    environ = {**os.environ, "TRIDENT_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "trident", "top", "--once"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "No server named default is running", "  why:  there is none of that name", "  next: start one: trident serve",
    ]  # fmt: skip


def test_json_is_what_the_page_gets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    prepare(Config(model="demo"))
    command = [sys.executable, "-m", "trident", "top", "--json"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["phase"] == "ready"
    assert "numbers" in told
