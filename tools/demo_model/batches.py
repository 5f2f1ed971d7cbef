"""Training batches, each determined by the seed and its index alone."""

from __future__ import annotations

import random
from functools import cache

import torch
from tokenizers import Tokenizer
from tools.demo_model.corpus import Fact, all_facts
from tools.demo_model.prompts import TokenSequence, Turn, chat, plain, plain_separator
from torch.utils.data import Dataset

IGNORED_LABEL = -100
LONGEST_SAMPLE_TOKENS = 1400

KIND_WEIGHTS = {"sum": 0.24, "capital": 0.24, "completion": 0.1, "long": 0.02, "unknown": 0.05}
OTHER_KINDS_WEIGHT = 0.35

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are Trident's demo model. Answer briefly.",
    "Answer in one sentence.",
    "你是一个有用的助手。",
    "请简短回答。",
)


class Batches(Dataset):  # type: ignore[type-arg]
    """``batches[i]`` is a pair of tensors, input ids and labels, of about ``batch_tokens`` tokens with padding."""

    def __init__(self, tokenizer: Tokenizer, *, pad_id: int, seed: int, steps: int, batch_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._pad_id = pad_id
        self._seed = seed
        self._steps = steps
        self._batch_tokens = batch_tokens

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = random.Random(f"{self._seed}/{index}")
        style = rng.choices(("single", "few", "long"), (0.65, 0.23, 0.12))[0]
        pool: list[TokenSequence] = []
        pool_tokens = 0
        while pool_tokens < 3 * self._batch_tokens:
            sample = self._sample(style, rng)
            if len(sample) <= LONGEST_SAMPLE_TOKENS:
                pool.append(sample)
                pool_tokens += len(sample)
        # Samples of like length share a batch, so little of it is padding; each sample is in just one.
        return self._pad(rng.choice(_cut_by_length(pool, self._batch_tokens)))

    def _sample(self, style: str, rng: random.Random) -> TokenSequence:
        # Plain text has no marker in front, so its very first token must serve as one too: that takes more practice.
        if style == "single" and rng.random() < 0.55:
            return self._plain_sample(rng)
        turns_count = {"single": 1, "few": rng.randint(2, 4), "long": rng.randint(6, 20)}[style]
        turns = [_ask(_draw(rng), rng) for _ in range(turns_count)]
        system = rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.3 else None
        return chat(self._tokenizer, turns, system=system, has_empty_thought=rng.random() < 0.4)

    def _plain_sample(self, rng: random.Random) -> TokenSequence:
        fact = _draw(rng)
        separator = plain_separator(fact.kind, fact.language)
        if rng.random() < 0.25:
            return plain(self._tokenizer, _ask(fact, rng), separator="\n", is_separator_given=True)
        return plain(self._tokenizer, _ask(fact, rng), separator=separator)

    def _pad(self, samples: list[TokenSequence]) -> tuple[torch.Tensor, torch.Tensor]:
        return pad(samples, self._pad_id)


def pad(samples: list[TokenSequence], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Input ids and labels, padded on the right, where causal attention never looks from a real token."""
    longest = max(len(sample) for sample in samples)
    ids = torch.full((len(samples), longest), pad_id)
    labels = torch.full((len(samples), longest), IGNORED_LABEL)
    for row, sample in enumerate(samples):
        tokens = torch.tensor(sample.ids)
        ids[row, : len(sample)] = tokens
        labels[row, : len(sample)] = torch.where(torch.tensor(sample.is_learned), tokens, IGNORED_LABEL)
    return ids, labels


def _cut_by_length(pool: list[TokenSequence], batch_tokens: int) -> list[list[TokenSequence]]:
    cuts: list[list[TokenSequence]] = [[]]
    for sample in sorted(pool, key=len):
        if cuts[-1] and (len(cuts[-1]) + 1) * len(sample) > batch_tokens:
            cuts.append([])
        cuts[-1].append(sample)
    # A rest of a few long samples would make a step of its own that follows these samples alone.
    if len(cuts) > 1 and len(cuts[-1]) < len(cuts[-2]) / 2:
        cuts[-2].extend(cuts.pop())
    return cuts


@cache
def _facts_by_kind() -> tuple[tuple[str, ...], tuple[float, ...], dict[str, list[Fact]]]:
    groups: dict[str, list[Fact]] = {}
    for fact in all_facts():
        groups.setdefault(fact.kind if fact.kind in KIND_WEIGHTS else "other", []).append(fact)
    weights = {**KIND_WEIGHTS, "other": OTHER_KINDS_WEIGHT}
    return tuple(groups), tuple(weights[kind] for kind in groups), groups


def _draw(rng: random.Random) -> Fact:
    kinds, weights, groups = _facts_by_kind()
    return rng.choice(groups[rng.choices(kinds, weights)[0]])


def _ask(fact: Fact, rng: random.Random) -> Turn:
    """The fact as a turn, the question sometimes written carelessly, as people do."""
    question = rng.choice(fact.phrasings)
    if fact.kind != "completion" and rng.random() < 0.2:
        careless = rng.choice((question.lower(), question.rstrip("?.!？。！"), question.replace("？", "?")))
        if careless and careless not in _questions():
            question = careless
    return Turn(question, fact.answer)


@cache
def _questions() -> frozenset[str]:
    return frozenset(phrasing for fact in all_facts() for phrasing in fact.phrasings)
