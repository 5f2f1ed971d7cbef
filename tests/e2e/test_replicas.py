"""Two engines behind the same doors: vLLM's data parallel replicas in one engine host."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_replicas_share_the_requests_of_every_door(tmp_path: Path) -> None:
    served = Served.plan(tmp_path)
    started = served.serve("demo", "--data-parallel-size", "2")
    try:
        assert started.returncode == 0, started.stderr
        (host,) = [child for child in served.state()["children"] if child["name"] == "engine host"]
        assert {"engine core 0", "engine core 1"} <= set(host["parts"])
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(served.generate, ["The capital of France is"] * 32))
        assert {answer.json()["text_output"] for answer in answers} == {" Paris."}
        served.settled_metrics()
        metrics = httpx.get(f"http://127.0.0.1:{served.openai_port}/metrics", timeout=30).text
        finished = [line for line in metrics.splitlines() if line.startswith("vllm:request_success_total{")]
        for engine in ("0", "1"):
            mine = [float(line.rpartition(" ")[2]) for line in finished if f'engine="{engine}"' in line]
            assert sum(mine) > 0, metrics
    finally:
        stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stderr
