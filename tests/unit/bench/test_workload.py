from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from trident.bench.plan import Lengths, TextModel, Workload
from trident.bench.text import texts
from trident.bench.workload import conversations
from trident.errors import ConfigurationError

DEMO_TOKENIZER = Path(__file__).parents[3] / "src" / "trident" / "models" / "demo" / "tokenizer.json"


def text_of(workload: Workload, index: int) -> str:
    return conversations(workload)[index].turns[0].messages[0]["content"]


def test_conversations_follow_from_seed_and_nonce() -> None:
    workload = Workload(input_tokens=Lengths(kind="uniform", a=10, b=90), seed=5, nonce="n")
    again = [conversations(workload)[index] for index in (3, 0, 7)]
    assert [conversations(workload)[index] for index in (3, 0, 7)] == again
    other = msgspec.structs.replace(workload, nonce="m")
    for index in range(5):
        mine, theirs = conversations(workload)[index].turns[0], conversations(other)[index].turns[0]
        assert (mine.input_tokens, mine.max_tokens) == (theirs.input_tokens, theirs.max_tokens)
        assert mine.messages[0]["content"].split()[:8] != theirs.messages[0]["content"].split()[:8]


def test_prompts_of_a_run_share_no_beginning() -> None:
    workload = Workload(nonce="n")
    beginnings = {tuple(text_of(workload, index).split()[:6]) for index in range(500)}
    assert len(beginnings) == 500


def test_prefixes_are_shared_by_some() -> None:
    workload = Workload(input_tokens=Lengths(a=100), prefix_tokens=60, prefix_count=3, nonce="n")
    prefixes = {" ".join(text_of(workload, index).split()[:40]) for index in range(60)}
    assert len(prefixes) == 3
    assert len({text_of(workload, index) for index in range(60)}) == 60


def test_words_follow_from_tokens_per_word_and_overhead() -> None:
    model = TextModel(source="server", tokens_per_word=2.0, overhead_tokens=20.0)
    assert len(texts(model).make(120, np.random.default_rng(0)).split()) == 50
    assert len(texts(model).make(1, np.random.default_rng(0)).split()) == 1


@pytest.mark.parametrize("tokens", [1, 2, 7, 64, 500])
def test_tokenizer_makes_texts_of_the_right_length(tokens: int) -> None:
    made = texts(TextModel(source="tokenizer", tokenizer_path=str(DEMO_TOKENIZER)))
    for seed in range(5):
        count = made.count(made.make(tokens, np.random.default_rng(seed)))
        assert abs(count - tokens) <= 3


def test_missing_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--tokenizer"):
        texts(TextModel(source="tokenizer", tokenizer_path="/nowhere"))


def test_turns_of_a_conversation() -> None:
    turns = conversations(Workload(kind="conversations", turns=3, nonce="n"))[0].turns
    assert len({turn.messages[0]["content"] for turn in turns}) == 3


def test_mix_has_its_kinds() -> None:
    mixed = conversations(Workload(kind="mix", nonce="n"))
    wanted = [mixed[index].turns[0].input_tokens or 0 for index in range(400)]
    assert np.percentile(wanted, 25) < 80 < 400 < np.percentile(wanted, 95)


def test_users_own_prompts(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        '{"prompt": "one", "max_tokens": 5}\n\n'
        '{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "output_tokens": 6}\n'
        '{"turns": ["a", "b"]}\n'
    )
    own = conversations(Workload(kind="jsonl", path=str(path), output_tokens=Lengths(a=9)))
    assert [[turn.max_tokens for turn in own[index].turns] for index in range(4)] == [[5], [6], [9, 9], [5]]
    assert own[1].turns[0].messages[0]["role"] == "system"


@pytest.mark.parametrize("content", [None, "", "x", "{}", '{"prompt": 7}'])
def test_file_that_cannot_be_used_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "prompts.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError):
        conversations(Workload(kind="jsonl", path=str(path)))
