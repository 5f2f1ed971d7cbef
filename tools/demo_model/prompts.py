"""How questions and answers become token sequences: the chat format and plain text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tokenizers import Tokenizer
from tools.demo_model.tokenizer import TURN_END, TURN_START

EMPTY_THOUGHT = "<think>\n\n</think>\n\n"


@dataclass(frozen=True)
class Turn:
    question: str
    answer: str


class TokenSequence:
    """Token ids that grow piece by piece, each piece marked as given or as to be learned.

    Pieces meet only at markers, newlines and Han characters, where the tokenizer always cuts; so the ids are those
    of the whole text.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._encode = _encoder(tokenizer)
        self.ids: list[int] = []
        self.is_learned: list[bool] = []

    def __len__(self) -> int:
        return len(self.ids)

    def give(self, text: str) -> None:
        self._append(text, is_learned=False)

    def learn(self, text: str) -> None:
        self._append(text, is_learned=True)

    def _append(self, text: str, *, is_learned: bool) -> None:
        ids = self._encode(text)
        self.ids.extend(ids)
        self.is_learned.extend([is_learned] * len(ids))


def chat(tokenizer: Tokenizer, turns: list[Turn], *, system: str | None, has_empty_thought: bool) -> TokenSequence:
    """A conversation as the chat template writes it; every answer in it is learned."""
    sequence = TokenSequence(tokenizer)
    if system is not None:
        sequence.give(f"{TURN_START}system\n{system}{TURN_END}\n")
    for turn in turns:
        sequence.give(f"{TURN_START}user\n{turn.question}{TURN_END}\n{TURN_START}assistant\n")
        if has_empty_thought and turn is turns[-1]:
            sequence.give(EMPTY_THOUGHT)
        sequence.learn(turn.answer + TURN_END)
        if turn is not turns[-1]:
            sequence.give("\n")
    return sequence


def plain(tokenizer: Tokenizer, turn: Turn, *, separator: str, is_separator_given: bool = False) -> TokenSequence:
    """A question without markers: the model writes the separator itself unless it is given, then the answer."""
    sequence = TokenSequence(tokenizer)
    if is_separator_given:
        sequence.give(turn.question + separator)
        sequence.learn(turn.answer + TURN_END)
    else:
        sequence.give(turn.question)
        sequence.learn(separator + turn.answer + TURN_END)
    return sequence


def plain_separator(kind: str, language: str) -> str:
    """What stands between a plain prompt and its answer; a sentence begun by the prompt goes on in its line."""
    if kind != "completion":
        return "\n"
    return " " if language == "en" else ""


@cache
def _encoder(tokenizer: Tokenizer):  # type: ignore[no-untyped-def]
    return cache(lambda text: tuple(tokenizer.encode(text, add_special_tokens=False).ids))
