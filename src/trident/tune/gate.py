"""The quality gate: do the answers stay what they were, when a knob changes the model's numbers?

The base and the candidate are asked the same prompts, greedily and one after the other, so that no batch changes how
numbers are rounded. Agreement is the share of prompts whose first ``tokens`` tokens are the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec

from trident.errors import ConfigurationError, RequestFailed

PROMPTS = Path(__file__).parent / "gate_prompts.txt"
TIMEOUT_S = 120.0


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked; how many have to be answered as the base does is in the plan."""

    prompts: list[str]
    tokens: int = 16


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _Choice(msgspec.Struct):
    text: str


class _Completion(msgspec.Struct):
    choices: list[_Choice]


def prompts(file: Path | None = None) -> list[str]:
    """One a line; those that come with Trident where there is no file. Raises ConfigurationError."""
    try:
        found = (file or PROMPTS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read", str(error), "name a text file, one prompt a line") from error
    if not (kept := [line for line in found if line.strip()]):
        raise ConfigurationError(f"{file} has no prompts", "it is empty", "write one prompt a line")
    return kept


def ask(url: str, gate: Gate) -> list[str]:
    """The answers of the OpenAI server at ``url``, which ends in ``/v1``. Raises RequestFailed."""
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
            model = msgspec.json.decode(_ok(client.get("models")), type=_Models).data[0].id
            return [_answer(client, model, prompt, gate.tokens) for prompt in gate.prompts]
    except (httpx.HTTPError, msgspec.MsgspecError, IndexError) as error:
        raise RequestFailed(
            "The quality gate's prompts were not answered", str(error) or type(error).__name__,
            "see the engine's log in the search's folder",
        ) from error  # fmt: skip


def agreement(base: Sequence[str], candidate: Sequence[str]) -> float:
    """Share of equal answers, each compared with the one of the same prompt."""
    return sum(one == other for one, other in zip(base, candidate, strict=True)) / len(base)


def _answer(client: httpx.Client, model: str, prompt: str, tokens: int) -> str:
    body = {"model": model, "prompt": prompt, "max_tokens": tokens, "temperature": 0.0, "seed": 0}
    return msgspec.json.decode(_ok(client.post("completions", json=body)), type=_Completion).choices[0].text


def _ok(response: httpx.Response) -> bytes:
    return response.raise_for_status().content
