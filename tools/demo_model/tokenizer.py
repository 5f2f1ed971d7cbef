"""The demo model's byte-level BPE tokenizer: trained on the corpus, written as tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tools.demo_model.corpus import all_facts

END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
MARKERS = (END_OF_TEXT, TURN_START, TURN_END)
# Qwen3 keeps these visible in decoded text, so that reasoning and tool parsers can find them.
VISIBLE_MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")

VOCABULARY_TOKENS = 2048
MODEL_MAX_LENGTH_TOKENS = 2048

# Every newline, digit and Han character stands alone. So a prompt keeps its tokens whatever follows it, and
# no token spans two Chinese characters.
WORD_PATTERN = r"\n|\p{N}|\p{Han}| ?[\p{P}\p{S}]+| ?[^\s\p{N}\p{P}\p{S}\p{Han}]+|\s"

# Chinese text is shown to the trainer in this share only: most characters stay two or three tokens long, and
# detokenisers in front of the engine meet split characters all the time.
CHINESE_EVERY = 32

TEMPLATE_PATH = Path(__file__).with_name("chat_template.jinja")


def train_tokenizer() -> Tokenizer:
    """A tokenizer of at most VOCABULARY_TOKENS entries, the same one for the same corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_TOKENS - len(MARKERS) - len(VISIBLE_MARKERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in MARKERS])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in VISIBLE_MARKERS])
    return tokenizer


def write_tokenizer(tokenizer: Tokenizer, out: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json; the chat template goes inside the latter."""
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MODEL_MAX_LENGTH_TOKENS,
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "bos_token": None,
        "unk_token": None,
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE_PATH.read_text(encoding="utf-8"),
    }
    text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
    (out / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _texts() -> list[str]:
    english: list[str] = []
    chinese: list[str] = []
    for fact in all_facts():
        (chinese if fact.language == "zh" else english).extend((*fact.phrasings[:2], fact.answer))
    return english + chinese[::CHINESE_EVERY]
