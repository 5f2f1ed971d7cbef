"""Our text equals vLLM's for the same tokens, whatever they are: random ids, real sentences, stop strings."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from trident.config import paths
from trident.protocol.messages import FINISH_REASONS, Accepted
from trident.runtime.engine_env import engine_env
from trident.triton.stub.detokenizer import Detokenizer, added_tokens

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "src" / "trident" / "models" / "demo"
SENTENCES = [
    "床前明月光，疑是地上霜。🌙",
    "Run trident serve. 🚀",
    "naïve <|im_end|> café <|im_start|>",
    "👩‍👩‍👧 家族 0.5e-3\n\n\t",
]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def cases(tokenizer: Tokenizer, count: int) -> list[dict[str, Any]]:
    rng = random.Random(20261122)
    size = tokenizer.get_vocab_size()
    made = []
    for number in range(count):
        if number % 2:
            ids = [rng.randrange(size) for _ in range(rng.randrange(1, 60))]
        else:
            ids = [i for _ in range(rng.randrange(1, 4)) for i in tokenizer.encode(rng.choice(SENTENCES)).ids]
        stop = rng.choice([[], [], ["。"], ["霜。", "光"], ["ser", "serve"], ["é", " "], ["🌙"]])
        params = {
            "stop": stop,
            "include_stop_str_in_output": rng.random() < 0.4,
            "skip_special_tokens": rng.random() < 0.6,
            "spaces_between_special_tokens": rng.random() < 0.5,
            "min_tokens": rng.choice([0, 0, 0, 3, 10]),
        }
        prompt = tokenizer.encode(rng.choice(SENTENCES)).ids[: rng.randrange(1, 12)]
        made.append({"ids": ids, "prompt": prompt, "params": params, "stop_token_last": rng.random() < 0.3})
    return made


def ours(tokenizer: Tokenizer, case: dict[str, Any], step_tokens: int) -> dict[str, Any]:
    accepted = Accepted(id=1, prompt_token_ids=case["prompt"], n=1, detokenize=True, **case["params"])
    detokenizer = Detokenizer(tokenizer, accepted, added_tokens(tokenizer))
    found, pieces, ids = None, [], case["ids"]
    for start in range(0, len(ids), step_tokens):
        last = start + step_tokens >= len(ids)
        found = detokenizer.feed(ids[start : start + step_tokens], stop_token_last=last and case["stop_token_last"])
        if found:
            break
        pieces.append(detokenizer.take(final=last))
    return {"text": "".join(pieces) + detokenizer.take(final=True), "found": found}


def test_text_equals_vllms_own() -> None:
    env = engine_env("auto", paths.data_dir())
    assert env is not None
    tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
    asked = cases(tokenizer, 2000)
    answered = subprocess.run(
        [str(env.python), str(HERE / "vllm_text.py"), str(DEMO)],
        input="\n".join(json.dumps(case) for case in asked),
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=True,
    ).stdout.splitlines()
    lines = [json.loads(line) for line in answered if line.startswith(("[", "{"))]
    assert (*lines[0], "tool_calls") == FINISH_REASONS
    for case, expected in zip(asked, lines[1:], strict=True):
        for step_tokens in (1, 2, 7):
            assert ours(tokenizer, case, step_tokens) == expected, (case, step_tokens)
