"""A search as it is written down, for tests."""

from __future__ import annotations

from trident.bench.plan import Workload
from trident.tune import objective
from trident.tune.journal import Asked
from trident.tune.loading import Loading
from trident.tune.memory import Model
from trident.tune.plan import Plan
from trident.tune.records import Record, Step
from trident.tune.search import Found
from trident.tune.space import Space

ASKED = Asked(
    started_at="2026-11-26T15:00:00Z",
    trident="test",
    vllm="0.32.0",
    build="cpu",
    model="demo",
    objective=objective.parse("goodput", ["ttft:1s"]),
    loading=Loading(api="openai-chat", workload=Workload(), look_s=5, measure_s=15),
    plan=Plan(budget_s=900),
    space=Space({"stream_interval": [2, 8]}),
    tables={"engine": {"max_model_len": 512}},
    sizes=Model(weights_bytes=1),
    memory_bytes=2**30,
)


def unwatched(step: Step, record: Record | None, found: Found) -> None:
    """Nobody looks."""
