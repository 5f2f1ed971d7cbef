"""``trident bench`` over every API of the real server; what it counts is what vLLM counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from served import Served

from trident.bench import folder
from trident.bench.result import Result

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HTTP, GRPC, OPENAI = "http_url", "grpc_url", "openai_url"
APIS = {
    "openai-chat": OPENAI,
    "openai-completions": OPENAI,
    "triton-generate-stream": HTTP,
    "triton-generate": HTTP,
    "kserve-http": HTTP,
    "kserve-grpc": GRPC,
    "kserve-grpc-stream": GRPC,
}
REQUESTS, TOKENS = 8, 12
TOKENIZER = Path(__file__).parents[2] / "src" / "trident" / "models" / "demo"


def bench(server: Served, api: str, output: Path, *words: str) -> Result:
    load = ["--num-requests", str(REQUESTS), "--concurrency", "4", "--warmup-requests", "0"]
    lengths = ["--input-tokens", "40", "--output-tokens", str(TOKENS), "--allow-client-bound"]
    url = getattr(server, APIS[api])
    done = server.trident("bench", "run", "--api", api, "--url", url, *load, *lengths, "--output", str(output), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder.read(output)


@pytest.mark.parametrize("api", APIS)
def test_every_api_counts_what_the_engine_counts(server: Served, tmp_path: Path, api: str) -> None:
    before = server.settled_metrics()
    (point,) = bench(server, api, tmp_path).points
    after = server.settled_metrics()
    assert (point.counts.ok, point.counts.errors) == (REQUESTS, 0)
    assert (point.tokens.output_tokens, point.tokens.output_source) == (REQUESTS * TOKENS, "server")
    assert point.tokens.input_source == "server"
    assert abs(point.tokens.input_tokens / REQUESTS - 40) < 15
    probes_tokens = 2 * 2  # two probes of two tokens each, which may end earlier
    generated = after["vllm:generation_tokens_total"] - before["vllm:generation_tokens_total"]
    assert 0 <= generated - REQUESTS * TOKENS <= probes_tokens
    is_streamed = "stream" in api or api.startswith("openai")
    assert point.distributions["ttft"].n == (REQUESTS if is_streamed else 0)
    rows = folder.read_rows(tmp_path)
    assert all(row.first_ns is None or row.sent_ns < row.first_ns <= (row.last_ns or 0) for row in rows)
    assert all(row.sent_ns < row.end_ns for row in rows)


def test_recipes_contract_is_counted_as_an_estimate(server: Served, tmp_path: Path) -> None:
    result = bench(server, "kserve-http", tmp_path, "--model", "qwen3_vllm")
    assert result.target.contract == "recipe"
    assert result.points[0].counts.ok == REQUESTS
    assert result.points[0].tokens.output_source == "estimate"
    assert "counts no tokens" in result.notes[0]


def test_tokenizer_counts_where_the_server_does_not(server: Served, tmp_path: Path) -> None:
    result = bench(server, "kserve-http", tmp_path, "--model", "qwen3_vllm", "--tokenizer", str(TOKENIZER))
    tokens = result.points[0].tokens
    assert (tokens.input_source, tokens.output_source) == ("tokenizer", "tokenizer")
    assert abs(tokens.input_tokens / REQUESTS - 40) <= 3


def test_too_long_prompts_are_errors_with_the_servers_words(server: Served, tmp_path: Path) -> None:
    words = ["--url", server.openai_url, "--input-tokens", "4000", "--num-requests", "4", "--concurrency", "2"]
    done = server.trident("bench", *words, "--warmup-requests", "0", "--output", str(tmp_path))
    assert done.returncode == 6, done.stdout + done.stderr
    (point,) = folder.read(tmp_path).points
    (error,) = point.errors
    assert (error.kind, error.count) == ("http_400", 4)
    assert "context length" in error.example


def test_unfitting_model_is_refused(server: Served, tmp_path: Path) -> None:
    words = ["--api", "kserve-grpc", "--url", server.grpc_url, "--model", "generate"]
    done = server.trident("bench", *words, "--output", str(tmp_path))
    assert done.returncode == 6
    assert "No model of this server can be asked by kserve-grpc" in done.stderr
