from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from triton_fakes import Heard

from trident.protocol.messages import FINISH_REASONS, Accepted, Delta, Logprob, Parsed
from trident.triton.stub.stream import Stream

STOP, LENGTH = 0, 1


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def started(tokenizer: Tokenizer, *, n: int = 1, stop: list[str] | None = None) -> tuple[Stream, Heard]:
    heard = Heard()
    stream = Stream(1, 0, heard, {}, 0.0)
    stream.accept(Accepted(1, [], n, stop or [], False, 0, True, True, True), tokenizer, {})
    return stream, heard


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text).ids)


def test_tokens_that_wait_are_joined_in_one_answer(tokenizer: Tokenizer) -> None:
    stream, heard = started(tokenizer)
    for letter in "abc":
        stream.take(Delta(1, ids(tokenizer, letter)))
    stream.answer_now()
    stream.take(Delta(1, ids(tokenizer, "d"), LENGTH))
    assert stream.finished
    stream.answer_now()
    assert heard.all() == [("progress", "abc"), ("finish", "d", "length")]


def test_first_answer_goes_out_without_text_and_later_ones_do_not(tokenizer: Tokenizer) -> None:
    stream, heard = started(tokenizer)
    first, second, third = ids(tokenizer, "你")
    for token in (first, second):
        stream.take(Delta(1, [token]))
        stream.answer_now()
    stream.take(Delta(1, [third]))
    stream.answer_now()
    assert heard.all() == [("progress", ""), ("progress", "你")]


def test_tokens_without_text_count_for_the_next_answer(tokenizer: Tokenizer) -> None:
    stream, heard = started(tokenizer)
    stream.take(Delta(1, ids(tokenizer, "a")))
    stream.answer_now()
    first, second, third = ids(tokenizer, "你")
    for token in (first, second, third):
        stream.take(Delta(1, [token], logprobs=[[Logprob(token, -1.0, 1, None)]], cumulative_logprob=-1.0))
        stream.answer_now()
    last = heard.pieces[-1]
    assert (last.text, last.num_tokens) == ("你", 3)
    assert [position[0].token_id for position in last.logprobs or ()] == [first, second, third]


def test_parsed_chat_is_joined_and_its_tokens_are_not_decoded(tokenizer: Tokenizer) -> None:
    heard = Heard()
    stream = Stream(1, 0, heard, {}, 0.0)
    stream.accept(Accepted(1, [], 1, ["b"], False, 0, False, True, True), tokenizer, {})
    calls = ['[{"index": 0}]', "", '[{"index": 1}, {"index": 2}]']
    for call in calls:
        assert not stream.take(Delta(1, ids(tokenizer, "b"), parsed=Parsed("c", "r", call)))
    stream.take(Delta(1, [], FINISH_REASONS.index("tool_calls")))
    stream.answer_now()
    piece = heard.pieces[-1]
    assert (piece.text, piece.reasoning, piece.num_tokens) == ("ccc", "rrr", 3)
    assert json.loads(piece.tool_calls) == [{"index": 0}, {"index": 1}, {"index": 2}]
    assert heard.all()[-1] == ("finish", "ccc", "tool_calls")


def test_stop_string_ends_the_stream_and_asks_for_an_abort(tokenizer: Tokenizer) -> None:
    stream, heard = started(tokenizer, stop=["cd"])
    assert not stream.take(Delta(1, ids(tokenizer, "abc")))
    assert stream.take(Delta(1, ids(tokenizer, "def")))
    assert not stream.take(Delta(1, ids(tokenizer, "late"), LENGTH))
    stream.answer_now()
    assert heard.all() == [("finish", "ab", "stop")]


def test_stop_string_with_the_last_token_needs_no_abort(tokenizer: Tokenizer) -> None:
    stream, heard = started(tokenizer, stop=["cd"])
    assert not stream.take(Delta(1, ids(tokenizer, "abcd"), LENGTH))
    stream.answer_now()
    assert heard.all() == [("finish", "ab", "stop")]


def test_sequences_finish_independently(tokenizer: Tokenizer) -> None:
    stream, heard = started(tokenizer, n=2)
    stream.take(Delta(1, ids(tokenizer, "a"), LENGTH, 0))
    assert not stream.finished
    stream.take(Delta(1, ids(tokenizer, "b"), None, 1))
    stream.answer_now()
    stream.take(Delta(1, ids(tokenizer, "c"), STOP, 1))
    stream.answer_now()
    assert heard.all() == [("progress", "a", "b"), ("finish", "", "", "length", "stop")]


def test_stream_is_not_finished_before_it_is_accepted() -> None:
    assert not Stream(1, 0, Heard(), {}, 0.0).finished


@pytest.mark.parametrize(("finish", "code"), [(2, "unavailable"), (3, "internal")], ids=["abort", "error"])
def test_sequence_that_the_engine_gave_up_is_no_answer(tokenizer: Tokenizer, finish: int, code: str) -> None:
    stream, heard = started(tokenizer, n=2)
    stream.take(Delta(1, ids(tokenizer, "a"), LENGTH, 0))
    stream.take(Delta(1, ids(tokenizer, "b"), finish, 1))
    stream.answer_now()
    assert [said[:2] for said in heard.all()] == [("fail", code)]
