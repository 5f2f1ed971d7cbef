"""Other load generators: what they are given, what is read of what they have really written, how they fail."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import msgspec
import pytest
from example_result import write_example

from trident.bench import engines, recorded, report
from trident.bench.apis import openai
from trident.bench.engines import aiperf, crosscheck, prompts, vllm
from trident.bench.engines.tool import Job, Tool
from trident.bench.exchange import Ask
from trident.bench.plan import Lengths, Load, Target, Workload
from trident.bench.workload import conversations
from trident.errors import ConfigurationError, TridentError

HERE = Path(__file__).parent
CHAT = Target(api="openai-chat", url="http://127.0.0.1:9000/v1/chat/completions", model="demo")
COMPLETIONS = Target(api="openai-completions", url="http://127.0.0.1:9000/v1/completions", model="demo")
WORKLOAD = Workload(output_tokens=Lengths(kind="uniform", a=10, b=90), seed=3, nonce="n")
CLOSED = Load(kind="closed", concurrency=8)


def job(folder: Path, *, python: Path = Path("python3"), target: Target = CHAT, load: Load = CLOSED,
        asks: list[Ask] | None = None) -> Job:  # fmt: skip
    asks = prompts.asks(WORKLOAD, "tool", 0, 5) if asks is None else asks
    return Job(python=python, folder=folder, target=target, workload=WORKLOAD, load=load, asks=asks,
               warmup_requests=8, timeout_s=60.0)  # fmt: skip


def options(command: list[str]) -> dict[str, str]:
    pairs = [word.removeprefix("--").split("=", 1) for word in command if word.startswith("--") and "=" in word]
    return {pair[0]: pair[1] for pair in pairs}


def test_prompts_have_our_lengths_and_other_words() -> None:
    ours = [conversations(WORKLOAD)[index].turns[0] for index in range(20)]
    theirs = prompts.asks(WORKLOAD, "vllm", 0, 20)
    assert [turn.max_tokens for turn in ours] == [ask.max_tokens for ask in theirs]
    assert len({ask.max_tokens for ask in theirs}) > 5
    assert not {turn.messages[0]["content"] for turn in ours} & {ask.prompt for ask in theirs}
    assert theirs == prompts.asks(WORKLOAD, "vllm", 0, 20)
    assert theirs != prompts.asks(WORKLOAD, "vllm", 1, 20)


@pytest.mark.parametrize(("target", "api"), [(CHAT, openai.OpenAiChat), (COMPLETIONS, openai.OpenAiCompletions)])
def test_body_is_what_our_own_client_sends(target: Target, api: type[openai.OpenAiChat]) -> None:
    (ask,) = prompts.asks(WORKLOAD, "aiperf", 0, 1)
    sent = api(target, WORKLOAD).encode(ask)
    assert json.loads(sent.partition(b"\r\n\r\n")[2]) == prompts.body(ask, target, WORKLOAD)


def test_vllm_is_told_workload_and_load(tmp_path: Path) -> None:
    command = vllm.command(job(tmp_path))
    given = options(command)
    assert given["backend"] == "openai-chat"
    assert (given["base-url"], given["endpoint"]) == ("http://127.0.0.1:9000", "/v1/chat/completions")
    assert (given["max-concurrency"], given["num-prompts"], given["num-warmups"]) == ("8", "5", "8")
    lines = [json.loads(line) for line in Path(given["dataset-path"]).read_text().splitlines()]
    assert [line["output_tokens"] for line in lines] == [ask.max_tokens for ask in prompts.asks(WORKLOAD, "tool", 0, 5)]
    assert "--ignore-eos" in command
    assert command[:3] == ["python3", "-I", str(vllm.SCRIPT)]
    assert vllm.SCRIPT.exists()


def test_aiperf_is_given_whole_bodies_for_chats(tmp_path: Path) -> None:
    given = options(aiperf.command(job(tmp_path)))
    assert (given["concurrency"], given["request-count"], given["custom-dataset-type"]) == ("8", "5", "raw-payload")
    first = json.loads(Path(given["input-file"]).read_text().splitlines()[0])
    assert first == prompts.body(prompts.asks(WORKLOAD, "tool", 0, 1)[0], CHAT, WORKLOAD)
    assert (Path(given["tokenizer"]) / "tokenizer.json").exists()
    given = options(aiperf.command(job(tmp_path, target=COMPLETIONS)))
    turn = json.loads(Path(given["input-file"]).read_text().splitlines()[0])
    assert set(turn) == {"text", "output_length", "extra"}
    assert turn["extra"]["ignore_eos"] is True


@pytest.mark.parametrize(
    ("arrival", "burstiness", "of_vllm", "of_aiperf"),
    [("poisson", None, "1.0", "poisson"), ("constant", None, "inf", "constant"), ("gamma", 0.5, "0.5", "gamma")],
)
def test_open_loops_keep_their_arrivals(
    tmp_path: Path, arrival: str, burstiness: float | None, of_vllm: str, of_aiperf: str
) -> None:
    load = Load(kind="open", rate_per_s=4.0, arrival=arrival, burstiness=burstiness)  # type: ignore[arg-type]
    given = options(vllm.command(job(tmp_path, load=load)))
    assert (given["request-rate"], given["burstiness"]) == ("4.0", of_vllm)
    given = options(aiperf.command(job(tmp_path, load=load)))
    assert (given["request-rate"], given["arrival-pattern"]) == ("4.0", of_aiperf)


@pytest.mark.parametrize("tool", engines.TOOLS.values(), ids=engines.TOOLS)
def test_what_a_tool_cannot_do_is_refused_before_anything_is_sent(tool: Tool) -> None:
    engines.check(tool, "openai-chat", WORKLOAD, is_trace=False)
    with pytest.raises(ConfigurationError, match="cannot load kserve-grpc"):
        engines.check(tool, "kserve-grpc", WORKLOAD, is_trace=False)
    with pytest.raises(ConfigurationError, match="3 turns"):
        engines.check(tool, "openai-chat", msgspec.structs.replace(WORKLOAD, turns=3), is_trace=False)
    with pytest.raises(ConfigurationError, match="trace"):
        engines.check(tool, "openai-chat", WORKLOAD, is_trace=True)


def test_vllm_cannot_send_several_messages(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "be short"}, {"role": "user", "content": "hello"}]
    with pytest.raises(ConfigurationError, match="several messages"):
        vllm.command(job(tmp_path, asks=[Ask(messages, 8)]))


def test_output_of_vllm_is_read() -> None:
    found = vllm.parse((HERE / "vllm-0.32.0.json").read_bytes())
    assert (found.ok, found.failed) == (100, 0)
    assert found.values["ttft p50"] == pytest.approx(56, abs=1)
    assert found.values["tpot p50"] == pytest.approx(10, abs=0.1)
    assert set(found.values) == {
        f"{metric} {p}" for metric in crosscheck.LATENCIES for p in crosscheck.STATISTICS
    } | set(crosscheck.RATES)


def test_output_of_aiperf_is_read() -> None:
    found = aiperf.parse((HERE / "aiperf-0.13.0.json").read_bytes())
    assert (found.ok, found.failed) == (100, 0)
    assert found.values["ttft p50"] == pytest.approx(52, abs=1)
    assert found.values["tpot p50"] == pytest.approx(10, abs=0.1)
    assert found.values["e2e p50"] > found.values["ttft p50"]


def test_output_of_aiperf_without_streams_lacks_their_metrics() -> None:
    content = json.loads((HERE / "aiperf-0.13.0.json").read_bytes())
    for name in ("time_to_first_token", "inter_token_latency", "inter_chunk_latency"):
        del content[name]
    assert not [name for name in aiperf.parse(json.dumps(content).encode()).values if name.startswith("t")]


def stand_in(folder: Path, script: str) -> Path:
    """An interpreter that does ``script`` whatever it is asked to run."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_figures_stand_beside_ours_in_folder_and_report(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = write_example(folder, concurrencies=(4, 16), error_share=0.0)
    python = stand_in(tmp_path, f"cp {HERE}/vllm-0.32.0.json vllm.json; echo 0.32.0 > version.txt")
    said: list[str] = []
    found = engines.run(engines.named("vllm"), folder, result, python, said.append)
    assert said == ["vllm: concurrency 4, 120 requests", "vllm: concurrency 16, 120 requests"]
    assert [found] == crosscheck.read_all(folder)
    tpot = next(one for one in found.levels[0].figures if (one.metric, one.statistic) == ("tpot", "p50"))
    ours = result.points[0].distributions["tpot"].p50
    assert ours is not None
    assert tpot.ours == ours.value
    assert tpot.theirs is not None
    assert tpot.difference_share == pytest.approx(tpot.theirs / ours.value - 1)
    text = report.html(recorded.load(folder))
    assert "Cross-check with vllm 0.32.0" in text
    assert "One process, one event loop" in text


@pytest.mark.parametrize(
    ("script", "why"),
    [("echo no such model; exit 3", "code 3: no such model"), ("exit 0", "its output cannot be read"),
     ("echo '{}' > vllm.json", "its output cannot be read"), ("exit 7", "it said nothing")],
)  # fmt: skip
def test_tool_that_fails_is_told_with_its_log(tmp_path: Path, script: str, why: str) -> None:
    result = write_example(tmp_path / "run", concurrencies=(4,))
    with pytest.raises(TridentError, match="our own result is whole") as raised:
        engines.run(engines.named("vllm"), tmp_path / "run", result, stand_in(tmp_path, script), lambda _: None)
    assert why in raised.value.why
    assert raised.value.log_path is not None
    assert raised.value.log_path.exists()
    assert crosscheck.read_all(tmp_path / "run") == []


def test_tool_whose_requests_all_failed_has_no_figures(tmp_path: Path) -> None:
    content = json.loads((HERE / "vllm-0.32.0.json").read_bytes()) | {"completed": 0, "failed": 120}
    (tmp_path / "vllm.json").write_text(json.dumps(content))
    python = stand_in(tmp_path, f"cp {tmp_path}/vllm.json .; echo 0 > version.txt")
    result = write_example(tmp_path / "run", concurrencies=(4,))
    with pytest.raises(TridentError) as raised:
        engines.run(engines.named("vllm"), tmp_path / "run", result, python, lambda _: None)
    assert raised.value.why == "all of its 120 requests failed"


def test_tool_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "START_TIMEOUT_S", 0.5)
    monkeypatch.setattr(engines, "SLOWER", 0.0)
    result = write_example(tmp_path / "run", concurrencies=(4,))
    python = stand_in(tmp_path, "sleep 60 & echo $! > child; wait")
    with pytest.raises(TridentError) as raised:
        engines.run(engines.named("vllm"), tmp_path / "run", result, python, lambda _: None)
    assert "did not end within" in raised.value.why
    child = int((tmp_path / "run" / "vllm" / "0" / "child").read_text())
    with pytest.raises(ProcessLookupError):
        while True:  # until the kernel has taken it away
            os.kill(child, 0)


def test_unknown_tool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="guidellm is unknown"):
        engines.named("guidellm")
