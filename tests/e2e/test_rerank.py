"""A model that scores, as Qwen3's rerankers do (the demo taken for one): OpenAI's server has doors for it, KServe's
contracts know nothing of it and say so."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

OVERRIDES = {
    "architectures": ["Qwen3ForSequenceClassification"],
    "classifier_from_token": ["0", "1"],  # the demo's vocabulary has no words "no" and "yes" of one token
    "is_original_qwen3_reranker": True,
}
QUERY, TEXTS = "capital of France", ["Paris is the capital of France.", "Bread is baked.", "Tokyo is in Japan."]


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served.plan(tmp_path_factory.mktemp("r"))
    started = served.serve("demo", "--runner", "pooling", "--hf-overrides", json.dumps(OVERRIDES))
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def ask(served: Served, path: str, **body: object) -> httpx.Response:
    return httpx.post(f"{served.openai_url}/{path}", json={"model": "demo", **body}, timeout=60)


def test_texts_are_scored(scoring: Served) -> None:
    answer = ask(scoring, "score", queries=QUERY, documents=TEXTS)
    scores = [one["score"] for one in answer.json()["data"]]
    assert len(scores) == len(TEXTS) and all(0 <= score <= 1 for score in scores)
    assert len(set(scores)) == len(TEXTS)


def test_texts_are_ranked_by_their_scores(scoring: Served) -> None:
    scores = [one["score"] for one in ask(scoring, "score", queries=QUERY, documents=TEXTS).json()["data"]]
    ranked = ask(scoring, "rerank", query=QUERY, documents=TEXTS, top_n=2).json()["results"]
    best = sorted(range(len(TEXTS)), key=lambda index: -scores[index])[:2]
    assert [one["index"] for one in ranked] == best
    assert [one["relevance_score"] for one in ranked] == pytest.approx([scores[index] for index in best], abs=1e-3)


@pytest.mark.parametrize(
    "body", [{"text_input": "x"}, {"embedding_request": '{"input": "x"}'}], ids=["text", "embedding"]
)
def test_kserve_says_that_this_model_does_not_do_that(scoring: Served, body: dict[str, str]) -> None:
    answer = httpx.post(f"{scoring.http_url}/v2/models/generate/generate", json=body, timeout=60)
    assert answer.status_code == 400
    assert "does not support" in answer.json()["error"] and "classify" in answer.json()["error"]


def test_doctor_finds_nothing_to_do(scoring: Served) -> None:
    assert scoring.trident("doctor", "--quiet").returncode == 0
