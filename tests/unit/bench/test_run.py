"""Whole runs of the command against the paced server: real processes, real sockets, no claim about speed."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from paced import paced_server, recording_server

from trident.bench import folder
from trident.bench.result import Result
from trident.cli.main import main

FAST = {"ttft_ms": 5.0, "period_ms": 1.0}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with paced_server(**FAST) as url:
        yield url


class Done(NamedTuple):
    """What a command has come to."""

    code: int
    stdout: str
    stderr: str


def bench(*words: str, output: Path) -> Done:
    """In this process, which saves its start; the clients are processes of their own. ``--allow-client-bound``: how
    busy this machine is is not the question."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["bench", *words, "--allow-client-bound", "--output", str(output)])
    assert isinstance(ended.value.code, int)
    return Done(ended.value.code, out.getvalue(), err.getvalue())


def result_of(done: Done, output: Path, *, code: int = 0) -> Result:
    assert done.code == code, done.stdout + done.stderr
    return folder.read(output)


@pytest.mark.parametrize("api", ["openai-chat", "openai-completions", "triton-generate-stream", "triton-generate"])
def test_closed_loop_over_each_http_api(server: str, tmp_path: Path, api: str) -> None:
    words = ["--api", api, "--url", server, "--num-requests", "20", "--concurrency", "4", "--output-tokens", "8"]
    result = result_of(bench(*words, "--slo", "e2e:10s", output=tmp_path), tmp_path)
    (point,) = result.points
    assert result.complete
    assert (point.counts.ok, point.counts.errors, point.counts.warmup_sent) == (20, 0, 4)
    assert point.stopped_by == "requests"
    assert (point.tokens.output_tokens, point.tokens.output_source) == (160, "server")
    assert point.tokens.input_source == "server"
    assert abs(point.tokens.input_tokens / 20 - 128) < 3  # its tokens for a word were learnt from two probes
    streamed = 0 if api == "triton-generate" else 20
    assert [point.distributions[name].n for name in ("ttft", "tpot", "e2e")] == [streamed, streamed, 20]
    assert point.rates["goodput_share"].value == 1.0
    rows, arrivals = folder.read_rows(tmp_path), folder.read_arrivals(tmp_path)
    assert len(rows) == 24
    for position, row in enumerate(rows):
        assert 0 < row.scheduled_ns <= row.sent_ns <= arrivals.of(position)[0] <= row.end_ns
        assert len(arrivals.of(position)) == row.events
    assert folder.read_scrapes(tmp_path)


def test_open_loop_sends_on_schedule(server: str, tmp_path: Path) -> None:
    words = ["--url", server, "--request-rate", "50", "--arrival", "constant", "--num-requests", "40"]
    result = result_of(bench(*words, "--output-tokens", "4", "--workers", "2", output=tmp_path), tmp_path)
    rows = sorted(folder.read_rows(tmp_path), key=lambda row: row.scheduled_ns)
    assert len(rows) == 44
    gaps_ns = [later.scheduled_ns - earlier.scheduled_ns for earlier, later in itertools.pairwise(rows)]
    assert all(abs(gap - 20_000_000) <= 2 for gap in gaps_ns)
    assert all(row.sent_ns >= row.scheduled_ns for row in rows)
    assert {row.worker for row in rows} == {0, 1}
    assert result.points[0].distributions["e2e_from_schedule"].n == 40


def test_trace_is_followed(server: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    lines = [(10.15, 9), (10.0, 7), (10.1, 8)]
    trace.write_text("".join(f'{{"at_s": {at}, "output_length": {tokens}}}\n' for at, tokens in lines))
    result = result_of(bench("--url", server, "--trace", str(trace), output=tmp_path / "r"), tmp_path / "r")
    rows = folder.read_rows(tmp_path / "r")
    assert [round((row.scheduled_ns - rows[0].scheduled_ns) / 1e6) for row in rows] == [0, 100, 150]
    assert [row.output_tokens for row in rows] == [7, 8, 9]
    assert result.points[0].stopped_by == "trace"


def test_sweep_writes_one_result(server: str, tmp_path: Path) -> None:
    words = ["sweep", "--url", server, "--concurrency", "1,3", "--num-requests", "6", "--output-tokens", "4"]
    result = result_of(bench(*words, output=tmp_path), tmp_path)
    assert [point.load.concurrency for point in result.points] == [1, 3]
    assert len((tmp_path / folder.POINTS).read_text().splitlines()) == 3


def test_prompts_are_repeated_only_with_the_same_nonce(tmp_path: Path) -> None:
    prompts = []
    with recording_server() as (url, bodies):
        for nonce in ("a", "a", "b"):
            bodies.clear()
            words = ["--api", "openai-completions", "--url", url, "--num-requests", "4", "--nonce", nonce]
            done = bench(*words, "--warmup-requests", "0", "--concurrency", "1", output=tmp_path / str(len(prompts)))
            assert done.code == 0, done.stderr
            prompts.append([body["prompt"] for body in bodies][-4:])
    assert prompts[0] == prompts[1] != prompts[2]
    assert len({*prompts[0], *prompts[2]}) == 8


def test_conversation_carries_its_history(tmp_path: Path) -> None:
    with recording_server() as (url, bodies):
        words = ["--url", url, "--num-requests", "3", "--warmup-requests", "0", "--turns", "3", "--concurrency", "1"]
        result = result_of(bench(*words, output=tmp_path), tmp_path)
    last = bodies[-1]["messages"]
    assert [message["role"] for message in last] == ["user", "assistant", "user", "assistant", "user"]
    assert last[1]["content"] == "hello"
    assert last[:3] == bodies[-2]["messages"]
    rows = folder.read_rows(tmp_path)
    assert [(row.conversation, row.turn) for row in rows] == [(0, 0), (0, 1), (0, 2)]
    assert result.points[0].counts.ok == 3


def test_failures_are_counted_by_kind(tmp_path: Path) -> None:
    with paced_server(**FAST, fail_every=4, cut_every=5) as url:
        words = ["--url", url, "--num-requests", "40", "--concurrency", "2", "--output-tokens", "8"]
        done = bench(*words, "--max-error-share", "0.9", output=tmp_path)
    (point,) = result_of(done, tmp_path).points
    kinds = {error.kind: error.count for error in point.errors}
    assert set(kinds) == {"http_503", "disconnected"}
    assert point.counts.errors + point.counts.warmup_errors == sum(kinds.values())
    assert point.counts.sent == 40 == point.counts.ok + point.counts.errors
    assert "overloaded, as asked" in done.stdout
    failed = [row for row in folder.read_rows(tmp_path) if row.status == "error"]
    assert all(row.ttft_ms is None and row.error for row in failed)


def test_too_many_failures_end_the_run_with_6(tmp_path: Path) -> None:
    with paced_server(**FAST, fail_every=4) as url:
        done = bench("--url", url, "--duration-s", "30", "--concurrency", "2", "--output-tokens", "4", output=tmp_path)
    result = result_of(done, tmp_path, code=6)
    assert result.points[0].stopped_by == "errors"
    assert not result.complete
    assert "requests failed at concurrency 2" in done.stderr


def test_server_that_dies_leaves_a_result_with_the_errors(tmp_path: Path) -> None:
    with paced_server(**FAST, die_after=40) as url:
        done = bench("--url", url, "--duration-s", "30", "--concurrency", "4", "--output-tokens", "8", output=tmp_path)
    result = result_of(done, tmp_path, code=6)
    (point,) = result.points
    kinds = {error.kind for error in point.errors}
    assert "connect" in kinds
    assert point.counts.ok > 0
    assert result.partial_reason is not None
    assert result.partial_reason.startswith("stopped by errors")
    assert folder.read_rows(tmp_path)


def test_interruption_writes_what_there_is(server: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "trident",
        "bench",
        "--url",
        server,
        "--duration-s",
        "60",
        "--output",
        str(tmp_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _wait_for_load(server)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=30)
    assert process.returncode == 130, said + complaint
    result = folder.read(tmp_path)
    assert (result.complete, result.partial_reason) == (False, "interrupted")
    (point,) = result.points
    assert point.stopped_by == "interrupted"
    assert point.counts.ok > 0
    statuses = [row.status for row in folder.read_rows(tmp_path) if row.phase == "measured"]
    assert statuses.count("unfinished") == point.counts.unfinished
    assert "PARTIAL: interrupted" in said


def test_client_process_that_dies_leaves_what_the_other_has(server: str, tmp_path: Path) -> None:
    words = ["--url", server, "--duration-s", "60", "--workers", "2", "--concurrency", "4", "--output", str(tmp_path)]
    command = [sys.executable, "-m", "trident", "bench", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _wait_for_load(server)
        clients = psutil.Process(process.pid).children()
        clients[0].kill()
        said, complaint = process.communicate(timeout=30)
    assert process.returncode == 1, said + complaint
    result = folder.read(tmp_path)
    assert result.partial_reason == f"client process {clients[0].pid} has died"
    assert {row.worker for row in folder.read_rows(tmp_path)} == {1}
    assert "The run was cut short" in complaint


def test_run_ends_when_the_mean_is_known(server: str, tmp_path: Path) -> None:
    words = ["--url", server, "--duration-s", "50", "--confidence", "0.5", "--output-tokens", "8"]
    result = result_of(bench(*words, output=tmp_path), tmp_path)
    (point,) = result.points
    assert (point.stopped_by, result.complete) == ("confidence", True)
    assert point.counts.unfinished == 0


def test_nobody_listening_ends_with_4(tmp_path: Path) -> None:
    done = bench("--url", "http://127.0.0.1:1", output=tmp_path)
    assert done.code == 4
    assert done.stderr.splitlines()[0] == "No server answers at http://127.0.0.1:1"
    assert not (tmp_path / folder.RESULT).exists()


def test_unknown_model_ends_with_6(server: str, tmp_path: Path) -> None:
    done = bench("--url", server, "--model", "gpt", output=tmp_path)
    assert done.code == 6
    assert "OpenAI models: paced" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--api", "rest"],
        ["--concurrency", "0"],
        ["--concurrency", "1", "--request-rate", "1"],
        ["--request-rate", "-1"],
        ["--request-rate", "1", "--arrival", "uniform"],
        ["--slo", "ttft"],
        ["--slo", "speed:1ms"],
        ["--input-tokens", "many"],
        ["--jsonl", "/nowhere", "--num-requests", "1"],
        ["--tokenizer", "/nowhere"],
        ["--trace", "/nowhere"],
        ["sweep", "--concurrency", "1,x"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_ends_with_3(server: str, tmp_path: Path, words: list[str]) -> None:
    done = bench(*words, "--url", server, output=tmp_path)
    assert done.code == 3, done.stderr
    assert len(done.stderr.splitlines()) == 3


def _wait_for_load(server: str) -> None:
    deadline = time.monotonic() + 30
    begun = _requests(server)
    while _requests(server) < begun + 30:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _requests(server: str) -> float:
    with urllib.request.urlopen(f"{server}/truth", timeout=5) as answer:
        return float(json.load(answer)["requests"])
