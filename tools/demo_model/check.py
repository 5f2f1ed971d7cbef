"""Ask a demo model folder its whole list of questions through vLLM: ``python -m tools.demo_model.check FOLDER``.

Exit code 1 when any way of asking falls below the wanted share of right answers.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from pathlib import Path

from tools.demo_model.corpus import Question
from vllm import LLM, RequestOutput, SamplingParams

log = logging.getLogger("demo_model")

WANTED_ACCURACY = 0.99
STYLES = ("chat", "chat_no_thinking", "raw", "raw_line", "system_prompt", "second_turn", "long_history")
EARLIER_TURNS = {"second_turn": 1, "long_history": 16}
GREEDY = SamplingParams(temperature=0, max_tokens=450)
# vLLM's CPU worker has died of an illegal instruction when its very first prompt held fewer than 32 tokens.
FIRST_PROMPT = "one two three four five six seven eight nine ten " * 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    rows = json.loads((options.folder / "questions.json").read_text(encoding="utf-8"))
    questions = [Question(**row) for row in rows]
    llm = LLM(model=str(options.folder), dtype=options.dtype, enforce_eager=True, max_model_len=1024)
    llm.generate([FIRST_PROMPT], SamplingParams(temperature=0, max_tokens=1))
    lowest = min(_ask(llm, style, options.dtype, questions) for style in STYLES)
    return 0 if lowest >= WANTED_ACCURACY else 1


def _ask(llm: LLM, style: str, dtype: str, questions: list[Question]) -> float:
    """The share of answers that are right to the letter, white space at the ends apart."""
    started_s = time.monotonic()
    outputs = _generate(llm, style, questions)
    pairs = [(question, output.outputs[0].text.strip()) for question, output in zip(questions, outputs, strict=True)]
    wrong = [(question.question, text) for question, text in pairs if text != question.answer.strip()]
    accuracy = 1 - len(wrong) / len(questions)
    elapsed_s = time.monotonic() - started_s
    log.info(
        "RESULT %s %s: %.2f %% of %d, %.0f s, wrong: %s",
        dtype,
        style,
        100 * accuracy,
        len(questions),
        elapsed_s,
        wrong[:5],
    )
    return accuracy


def _generate(llm: LLM, style: str, questions: list[Question]) -> list[RequestOutput]:
    if style.startswith("raw"):
        end = "\n" if style == "raw_line" else ""
        return llm.generate([question.question + end for question in questions], GREEDY)
    return llm.chat(
        [[*_before(style, questions), {"role": "user", "content": question.question}] for question in questions],
        GREEDY,
        chat_template_kwargs={"enable_thinking": False} if style == "chat_no_thinking" else None,
    )


def _before(style: str, questions: list[Question]) -> list[dict[str, str]]:
    """What the conversation holds before the question that counts."""
    if style == "system_prompt":
        return [{"role": "system", "content": "You are a helpful assistant."}]
    turns = [
        [{"role": "user", "content": earlier.question}, {"role": "assistant", "content": earlier.answer}]
        for earlier in random.Random(0).sample(questions, EARLIER_TURNS.get(style, 0))
    ]
    return [message for turn in turns for message in turn]


if __name__ == "__main__":
    sys.exit(main())
