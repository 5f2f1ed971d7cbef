"""Texts of so many tokens, out of common English words drawn at random.

Random words make prompts that no prefix cache has seen: among 450 words, two prompts with the same first ten do not
happen.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trident.bench.plan import TextModel
from trident.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WORDS = resources.files("trident.bench").joinpath("words.txt").read_text(encoding="utf-8").split()


class Texts(Protocol):
    """Makes texts."""

    def make(self, tokens: int, rng: np.random.Generator) -> str:
        """About, or exactly, so many tokens, never none."""

    def count(self, text: str) -> int:
        """The tokens of a text."""

    @property
    def is_exact(self) -> bool:
        """Whether counts are a tokenizer's."""


def texts(model: TextModel) -> Texts:
    """Raises ConfigurationError when its tokenizer cannot be read."""
    return TokenizedTexts(model) if model.source == "tokenizer" else EstimatedTexts(model)


class EstimatedTexts:
    """By a number of tokens for a word."""

    is_exact = False

    def __init__(self, model: TextModel) -> None:
        self._model = model

    def make(self, tokens: int, rng: np.random.Generator) -> str:
        """See ``Texts``."""
        words = max(1, round((tokens - self._model.overhead_tokens) / self._model.tokens_per_word))
        return " ".join(WORDS[index] for index in rng.integers(0, len(WORDS), words))

    def count(self, text: str) -> int:
        """See ``Texts``."""
        return max(1, round(len(text.split()) * self._model.tokens_per_word))


class TokenizedTexts:
    """By the server's tokenizer. Words are added by their own lengths, then the whole is counted and trimmed: exact for
    tokenizers that have each of the words with its space as a token, and within a few tokens otherwise."""

    is_exact = True

    def __init__(self, model: TextModel) -> None:
        self._tokenizer = _load(Path(model.tokenizer_path or ""))
        self._overhead_tokens = round(model.overhead_tokens)
        self._lengths = np.array([self.count(f" {word}") for word in WORDS])

    def make(self, tokens: int, rng: np.random.Generator) -> str:
        """See ``Texts``."""
        wanted = max(1, tokens - self._overhead_tokens)
        drawn = rng.integers(0, len(WORDS), wanted)
        count = max(1, int(np.searchsorted(np.cumsum(self._lengths[drawn]), wanted, side="right")))
        words = [WORDS[index] for index in drawn[:count]]
        short = [WORDS[index] for index in np.flatnonzero(self._lengths == self._lengths.min())]
        while len(words) > 1 and self.count(" ".join(words)) > wanted:
            words.pop()
        if self.count(words[0]) > wanted:
            words = [short[int(rng.integers(0, len(short)))]]
        while self.count(" ".join(words)) + int(self._lengths.min()) <= wanted:
            words.append(short[int(rng.integers(0, len(short)))])
        return " ".join(words)

    def count(self, text: str) -> int:
        """See ``Texts``."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def _load(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises nothing more special
        raise ConfigurationError(
            f"--tokenizer {path} cannot be read", str(error), "give a tokenizer.json, or a folder with one"
        ) from error
