"""Equality with vLLM's own text is measured in tests/e2e/test_detokenizer_equality.py; here is the logic alone."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from trident.protocol.messages import Accepted
from trident.triton.stub.detokenizer import Detokenizer, added_tokens


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Every byte is a token of its own, so every character beyond ASCII is split."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|im_end|>", special=True), AddedToken("<|im_start|>", special=True)])
    return tokenizer


def accepted(**changes: object) -> Accepted:
    fields: dict[str, object] = {
        "id": 1,
        "prompt_token_ids": [],
        "n": 1,
        "stop": [],
        "include_stop_str_in_output": False,
        "min_tokens": 0,
        "detokenize": True,
        "skip_special_tokens": True,
        "spaces_between_special_tokens": True,
    }
    return Accepted(**{**fields, **changes})  # type: ignore[arg-type]


def make(tokenizer: Tokenizer, **changes: object) -> Detokenizer:
    return Detokenizer(tokenizer, accepted(**changes), added_tokens(tokenizer))


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text).ids)


def test_split_character_is_held_until_it_is_whole(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer)
    first, second, third = ids(tokenizer, "你")
    detokenizer.feed([first])
    assert detokenizer.take() == ""
    detokenizer.feed([second])
    assert detokenizer.take() == ""
    detokenizer.feed([third])
    assert detokenizer.take() == "你"


@pytest.mark.parametrize("text", ["你好，世界", "🔱🚀 emoji", "naïve café", "mixed 中文 and 🇫🇷!"])
@pytest.mark.parametrize("step_tokens", [1, 2, 3, 7])
def test_text_is_the_same_however_tokens_come(tokenizer: Tokenizer, text: str, step_tokens: int) -> None:
    detokenizer = make(tokenizer)
    all_ids, pieces = ids(tokenizer, text), []
    for start in range(0, len(all_ids), step_tokens):
        detokenizer.feed(all_ids[start : start + step_tokens])
        pieces.append(detokenizer.take())
    pieces.append(detokenizer.take(final=True))
    assert "".join(pieces) == text
    assert "�" not in "".join(pieces)


def test_text_of_the_stop_token_is_left_out(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, skip_special_tokens=False)
    detokenizer.feed([*ids(tokenizer, "ok"), *ids(tokenizer, "<|im_end|>")], stop_token_last=True)
    assert detokenizer.take(final=True) == "ok"


def test_text_of_the_stop_token_is_kept_when_asked_for(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, skip_special_tokens=False, include_stop_str_in_output=True)
    detokenizer.feed([*ids(tokenizer, "ok"), *ids(tokenizer, "<|im_end|>")], stop_token_last=True)
    assert detokenizer.take(final=True) == "ok<|im_end|>"


def test_stop_string_ends_the_text_before_it(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, stop=["END"])
    assert detokenizer.feed(ids(tokenizer, "abc EN")) is None
    assert detokenizer.take() == "abc "  # "EN" may be the beginning of the stop string
    assert detokenizer.feed(ids(tokenizer, "D more")) == "END"
    assert detokenizer.take(final=True) == ""


def test_stop_string_is_included_when_asked_for(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, stop=["END"], include_stop_str_in_output=True)
    assert detokenizer.feed(ids(tokenizer, "abc EN")) is None
    assert detokenizer.take() == "abc EN"
    assert detokenizer.feed(ids(tokenizer, "D more")) == "END"
    assert detokenizer.take(final=True) == "D"


def test_held_text_is_released_at_the_end(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, stop=["END"])
    detokenizer.feed(ids(tokenizer, "abc EN"))
    assert detokenizer.take() + detokenizer.take(final=True) == "abc EN"


def test_stop_string_that_completes_first_wins(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, stop=["cdef", "cd"])
    assert detokenizer.feed(ids(tokenizer, "abcdef")) == "cd"
    assert detokenizer.take(final=True) == "ab"


def test_stop_string_in_chinese_is_found(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, stop=["世界"])
    assert detokenizer.feed(ids(tokenizer, "你好，世界！")) == "世界"
    assert detokenizer.take(final=True) == "你好，"


def test_stop_string_within_min_tokens_is_overlooked(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, stop=["b"], min_tokens=3)
    assert detokenizer.feed(ids(tokenizer, "abcb")) == "b"
    assert detokenizer.take(final=True) == "abc"


def test_space_between_special_tokens_is_left_out_when_asked_for(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer, skip_special_tokens=False, spaces_between_special_tokens=False)
    detokenizer.feed(ids(tokenizer, "<|im_end|><|im_start|>x"))
    assert detokenizer.take(final=True) == "<|im_end|><|im_start|>x"


def test_unknown_token_id_adds_nothing(tokenizer: Tokenizer) -> None:
    detokenizer = make(tokenizer)
    detokenizer.feed([*ids(tokenizer, "a"), -1, *ids(tokenizer, "b")])
    assert detokenizer.take(final=True) == "ab"
