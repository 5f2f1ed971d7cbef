"""How many listed questions a model answers right, measured without generating.

Greedy decoding writes an answer exactly when, with that answer put before it, every one of its tokens is the most
likely one. So one forward pass per question tells the same as generation, and also by how much each token won.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from tools.demo_model.batches import IGNORED_LABEL, pad
from tools.demo_model.corpus import Question
from tools.demo_model.prompts import TokenSequence, Turn, chat, plain, plain_separator
from transformers import Qwen3ForCausalLM

ROWS_PER_PASS = 128


@dataclass(frozen=True)
class Score:
    """Share of right answers, and the smallest lead in logits of any wanted token over the best other one."""

    accuracy: float
    smallest_lead: float
    wrong: tuple[str, ...]


def measure(model: Qwen3ForCausalLM, tokenizer: Tokenizer, questions: list[Question]) -> dict[str, Score]:
    """A score for each way of asking."""
    return {
        style: _score(model, [_ask(tokenizer, style, question, questions) for question in questions], questions)
        for style in ("chat", "chat_no_thinking", "raw", "system_prompt", "second_turn")
    }


def _ask(tokenizer: Tokenizer, style: str, question: Question, questions: list[Question]) -> TokenSequence:
    turn = Turn(question.question, question.answer)
    if style == "raw":
        return plain(tokenizer, turn, separator=plain_separator(question.kind, question.language))
    turns = [turn]
    if style == "second_turn":
        before = random.Random(question.question).choice(questions)
        turns = [Turn(before.question, before.answer), turn]
    system = "You are a helpful assistant." if style == "system_prompt" else None
    sequence = chat(tokenizer, turns, system=system, has_empty_thought=style == "chat_no_thinking")
    if style == "second_turn":
        last_given = max(place for place, is_learned in enumerate(sequence.is_learned) if not is_learned)
        sequence.is_learned[:last_given] = [False] * last_given
    return sequence


@torch.no_grad()
def _score(model: Qwen3ForCausalLM, samples: list[TokenSequence], questions: list[Question]) -> Score:
    order = sorted(range(len(samples)), key=lambda place: len(samples[place]))
    smallest_lead = float("inf")
    wrong: list[str] = []
    for start in range(0, len(order), ROWS_PER_PASS):
        rows = order[start : start + ROWS_PER_PASS]
        ids, labels = (tensor.to(model.device) for tensor in pad([samples[row] for row in rows], 0))
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        wanted = labels[:, 1:]
        is_learned = wanted != IGNORED_LABEL
        index = wanted.clamp(min=0).unsqueeze(-1)
        wanted_logit = logits.gather(-1, index).squeeze(-1)
        best_other = logits.scatter(-1, index, float("-inf")).amax(-1)
        lead = (wanted_logit - best_other).masked_fill(~is_learned, float("inf")).amin(-1)
        smallest_lead = min(smallest_lead, lead.min().item())
        wrong.extend(questions[row].question for row, value in zip(rows, lead.tolist(), strict=True) if value <= 0)
    return Score(1 - len(wrong) / len(samples), smallest_lead, tuple(wrong))
