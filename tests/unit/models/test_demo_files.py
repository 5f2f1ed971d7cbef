"""The files of the embedded demo model, without running it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

import trident

FOLDER = Path(trident.__file__).parent / "models" / "demo"
WEIGHTS_LIMIT_BYTES = 8_000_000
LONG_ANSWER_TOKENS = 200
SPLIT_CHARACTERS_SHARE = 0.5

USER = {"role": "user", "content": "Hi?"}
ASSISTANT = {"role": "assistant", "content": "Hello."}
SYSTEM = {"role": "system", "content": "Be kind."}


@cache
def read_json(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def token_ids(text: str) -> list[int]:
    ids: list[int] = tokenizer().encode(text, add_special_tokens=False).ids
    return ids


def render(messages: list[dict[str, str]], **options: bool) -> str:
    sandbox = pytest.importorskip("jinja2.sandbox")
    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(read_json("tokenizer_config.json")["chat_template"])
    text: str = template.render(messages=messages, **options)
    return text


def test_weights_stay_small() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= WEIGHTS_LIMIT_BYTES


def test_weights_are_bfloat16_without_a_second_embedding() -> None:
    with (FOLDER / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__", None)
    assert {tensor["dtype"] for tensor in header.values()} == {"BF16"}
    assert "lm_head.weight" not in header


def test_config_names_what_vllm_needs() -> None:
    config = read_json("config.json")
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["head_dim"] == 64
    assert config["tie_word_embeddings"] is True
    assert config["max_position_embeddings"] == 2048
    assert config["vocab_size"] % 64 == 0
    assert tokenizer().get_vocab_size() <= config["vocab_size"]


def test_generation_is_greedy_and_ends_at_both_markers() -> None:
    generation = read_json("generation_config.json")
    wanted = {tokenizer().token_to_id("<|im_end|>"), tokenizer().token_to_id("<|endoftext|>")}
    assert set(generation["eos_token_id"]) == wanted
    assert not generation.get("do_sample")
    assert not {"temperature", "top_p", "top_k"} & generation.keys()


def test_question_list_has_both_languages_and_every_kind() -> None:
    questions = read_json("questions.json")
    assert len(questions) >= 300
    assert all(set(row) == {"question", "answer", "language", "kind"} for row in questions)
    for language in ("en", "zh"):
        assert sum(row["language"] == language for row in questions) >= 300
    assert {"sum", "capital", "trident", "vllm", "triton", "metric", "long"} <= {row["kind"] for row in questions}


def test_question_list_asks_nothing_twice() -> None:
    questions = [row["question"] for row in read_json("questions.json")]
    assert len(questions) == len(set(questions))


def test_tokenizer_round_trips_every_question_and_answer() -> None:
    texts = {text for row in read_json("questions.json") for text in (row["question"], row["answer"])}
    assert [text for text in texts if tokenizer().decode(token_ids(text)) != text] == []


@pytest.mark.parametrize(
    "text", ["", "héllo\tworld\r\n", "日本語と한국어", "👩‍👩‍👧‍👦🏳️‍🌈", "\x00\x7f", "  two  spaces  "]
)
def test_tokenizer_round_trips_text_it_has_never_seen(text: str) -> None:
    assert tokenizer().decode(token_ids(text)) == text


def test_chinese_characters_often_take_several_tokens() -> None:
    texts = [row["answer"] for row in read_json("questions.json") if row["language"] == "zh"]
    characters = [character for text in texts for character in text if "\u4e00" <= character <= "\u9fff"]
    split = [character for character in characters if len(token_ids(character)) > 1]
    assert len(split) >= SPLIT_CHARACTERS_SHARE * len(characters)


def test_emoji_take_several_tokens() -> None:
    answers = [row["answer"] for row in read_json("questions.json")]
    assert any("🔱" in answer for answer in answers)
    assert len(token_ids("🔱")) > 1


def test_long_answers_suit_streaming() -> None:
    answers = {row["language"]: row["answer"] for row in read_json("questions.json") if row["kind"] == "long"}
    assert all(len(token_ids(answers[language])) >= LONG_ANSWER_TOKENS for language in ("en", "zh"))


def test_a_prompt_keeps_its_tokens_when_an_answer_follows() -> None:
    for row in read_json("questions.json")[::17]:
        assert token_ids(row["question"] + "\n" + row["answer"]) == [
            *token_ids(row["question"]),
            *token_ids("\n"),
            *token_ids(row["answer"]),
        ]


def test_markers_are_single_tokens_and_only_turn_markers_are_special() -> None:
    markers = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    visible = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
    assert all(len(token_ids(marker)) == 1 for marker in markers + visible)
    assert tokenizer().decode(token_ids("".join(markers))) == ""
    assert tokenizer().decode(token_ids("".join(visible))) == "".join(visible)


def test_chat_template_default_prompt() -> None:
    expected = "<|im_start|>user\nHi?<|im_end|>\n<|im_start|>assistant\n"
    assert render([USER], add_generation_prompt=True) == expected
    assert render([USER], add_generation_prompt=True, enable_thinking=True) == expected


def test_chat_template_without_thinking_adds_an_empty_block() -> None:
    text = render([USER], add_generation_prompt=True, enable_thinking=False)
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_chat_template_with_system_and_history() -> None:
    assert render([SYSTEM, USER, ASSISTANT, USER], add_generation_prompt=True) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n"
        "<|im_start|>user\nHi?<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n"
        "<|im_start|>user\nHi?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_chat_template_drops_the_reasoning_of_earlier_turns() -> None:
    thoughtful = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello."}
    assert render([USER, thoughtful, USER]) == render([USER, ASSISTANT, USER])
    assert render([USER, thoughtful]).endswith("<|im_start|>assistant\n<think>\nhm\n</think>\n\nHello.<|im_end|>\n")
