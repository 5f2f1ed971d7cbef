from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import Metric

from trident.supervisor.metrics import families
from trident.supervisor.metrics.exposition import as_text

COUNTS = """
import sys
from prometheus_client import Counter, Gauge, Histogram
labels = {"model_name": "demo", "engine": "0"}
Counter("vllm:prompt_tokens", "Tokens.", labels).labels(**labels).inc(int(sys.argv[1]))
Gauge("vllm:num_requests_running", "Running.", labels, multiprocess_mode="mostrecent").labels(**labels).set(3)
Histogram("vllm:ttft_seconds", "Time.", labels, buckets=[0.001, 0.3]).labels(**labels).observe(0.01)
print("counted", flush=True)
sys.stdin.read()
"""


def front_end(folder: Path, prompt_tokens: int) -> subprocess.Popen[bytes]:
    """A process that has counted and lives until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTS, str(prompt_tokens)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == b"counted\n"
    return process


def values(metrics: list[Metric], name: str) -> dict[str, float]:
    """Of the samples of that name, by ``le`` or by engine."""
    return {
        sample.labels.get("le", sample.labels.get("engine", "")): sample.value
        for metric in metrics
        for sample in metric.samples
        if sample.name == name
    }


def test_processes_of_one_engine_add_up_and_the_dead_keep_their_counts(tmp_path: Path) -> None:
    with front_end(tmp_path, 5) as dead:
        dead.communicate()
    assert values(families.of_folder(tmp_path), "vllm:num_requests_running") == {}, "it runs nothing any more"
    with front_end(tmp_path, 7) as living:
        found = families.of_folder(tmp_path)
        lost = families.of_folder(tmp_path, is_serving=False)
        living.communicate()
    assert values(found, "vllm:prompt_tokens_total") == {"0": 12}
    assert values(found, "vllm:num_requests_running") == {"0": 3}
    assert values(lost, "vllm:num_requests_running") == {}, "its processes end, and run nothing"
    assert values(lost, "vllm:prompt_tokens_total") == {"0": 12}
    assert values(found, "vllm:ttft_seconds_bucket") == {"0.001": 0, "0.3": 2, "+Inf": 2}


def test_folder_that_is_not_there_counts_nothing(tmp_path: Path) -> None:
    assert families.of_folder(tmp_path / "none") == []


def test_labels_are_added_but_never_replaced() -> None:
    metrics = families.of_text('a{model_name="theirs"} 1\nb 2\n')
    text = as_text(families.labelled(metrics, {"model_name": "ours", "version": "1"})).decode()
    assert 'a{model_name="theirs",version="1"} 1.0' in text
    assert 'b{model_name="ours",version="1"} 2.0' in text


ONE = """\
# HELP vllm:e2e_seconds Time.
# TYPE vllm:e2e_seconds histogram
vllm:e2e_seconds_bucket{engine="0",le="0.001"} 1.0
vllm:e2e_seconds_bucket{engine="0",le="0.3"} 2.0
vllm:e2e_seconds_bucket{engine="0",le="1.0"} 4.0
vllm:e2e_seconds_bucket{engine="0",le="+Inf"} 5.0
vllm:e2e_seconds_count{engine="0"} 5.0
vllm:e2e_seconds_sum{engine="0"} 9.5
# HELP vllm:success_total Requests.
# TYPE vllm:success_total counter
vllm:success_total{engine="0",finished_reason="stop"} 5.0
# HELP vllm:running Running.
# TYPE vllm:running gauge
vllm:running{engine="0"} 2.0
"""
OTHER = """\
# HELP vllm:e2e_seconds Time.
# TYPE vllm:e2e_seconds histogram
vllm:e2e_seconds_bucket{engine="0",le="0.3"} 10.0
vllm:e2e_seconds_bucket{engine="0",le="+Inf"} 20.0
vllm:e2e_seconds_count{engine="0"} 20.0
vllm:e2e_seconds_sum{engine="0"} 1.0
# HELP vllm:success_total Requests.
# TYPE vllm:success_total counter
vllm:success_total{engine="0",finished_reason="stop"} 3.0
vllm:success_total{engine="0",finished_reason="length"} 1.0
# HELP vllm:running Running.
# TYPE vllm:running gauge
vllm:running{engine="0"} 1.0
# HELP vllm:only_here_total Other.
# TYPE vllm:only_here_total counter
vllm:only_here_total{engine="0"} 4.0
"""


def test_front_ends_with_other_buckets_add_up_to_growing_ones() -> None:
    found = families.added(families.of_text(ONE), families.of_text(OTHER))
    assert values(found, "vllm:e2e_seconds_bucket") == {"0.001": 1, "0.3": 12, "1.0": 14, "+Inf": 25}
    assert values(found, "vllm:e2e_seconds_count") == {"0": 25}
    assert values(found, "vllm:e2e_seconds_sum") == {"0": 10.5}


def test_counters_add_up_gauges_do_not_and_no_family_is_lost() -> None:
    text = as_text(families.added(families.of_text(ONE), families.of_text(OTHER))).decode()
    assert 'vllm:success_total{engine="0",finished_reason="stop"} 8.0' in text
    assert 'vllm:success_total{engine="0",finished_reason="length"} 1.0' in text
    assert 'vllm:running{engine="0"} 2.0' in text
    assert 'vllm:only_here_total{engine="0"} 4.0' in text


@pytest.mark.parametrize("text", [ONE, OTHER])
def test_text_survives_unchanged(text: str) -> None:
    assert as_text(families.of_text(text)).decode() == text
    assert as_text(families.added(families.of_text(text), [])).decode() == text


def test_alias_is_the_same_family_under_another_name() -> None:
    text = "# HELP a_seconds How long\n# TYPE a_seconds histogram\n"
    text += 'a_seconds_bucket{le="+Inf"} 2.0\na_seconds_count 2.0\na_seconds_sum 0.5\n'
    both = families.with_alias(families.of_text(text), "a_seconds", "b_seconds")
    assert as_text(both).decode() == text + text.replace("a_seconds", "b_seconds")
    assert families.with_alias(both, "a_seconds", "b_seconds") == both
    assert families.with_alias(both, "c_seconds", "d_seconds") == both


def test_engines_stand_side_by_side_in_one_family() -> None:
    engines = [families.labelled(families.of_text(ONE), {"model": model}) for model in ("a", "b")]
    text = as_text(families.side_by_side(engines)).decode()
    assert text.count("# TYPE vllm:success_total counter") == 1
    assert {f'model="{model}"' in text for model in ("a", "b")} == {True}
