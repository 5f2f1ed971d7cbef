"""Requests of all kinds at once, each in a thread, and what their clients hear and when."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

PROMPTS = ("Tell me a story", "What is the capital of France?", "The sea was calm", "How does a clock work?")
LIMIT_S = 240
ENDS = {"stop", "length"}


def numbers(tokens: int) -> str:
    """A regular expression for a text that fits into so many tokens of any kind."""
    return rf"(\d{{4}} ){{{tokens // 6}}}end"


def kinds(tokens: int) -> dict[str, dict[str, Any]]:
    """The sampling of each; ``tokens`` is the length of most."""
    greedy = {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    drawn = {"max_tokens": tokens, "ignore_eos": True, "seed": 42, "temperature": 0.9}
    penalties = {"presence_penalty": 0.7, "frequency_penalty": 0.4, "repetition_penalty": 1.1}
    by_grammar = {"max_tokens": tokens, "structured_outputs": {"regex": numbers(tokens)}}
    return {
        **{f"greedy {i}": greedy for i in range(len(PROMPTS))},
        "greedy, whole": greedy,
        "seed": {**drawn, "temperature": 1.0},
        "seed, top_k": {**drawn, "top_k": 20},
        "seed, top_p": {**drawn, "top_p": 0.9},
        "seed, top_k, top_p": {**drawn, "top_k": 20, "top_p": 0.9, "seed": 7},
        "n=2, seed": {**drawn, "n": 2, "seed": 5},
        "penalties": {**greedy, **penalties},
        "penalties, seed": {**drawn, **penalties},
        "min_tokens": {"max_tokens": tokens, "temperature": 0, "min_tokens": tokens * 3 // 4},
        "regex": {**by_grammar, "temperature": 0},
        "regex, seed": {**by_grammar, "seed": 3},
        "bad_words, stop": {**greedy, "bad_words": [" the", " a"], "stop": ["xyzzy"]},
        "logprobs": {**greedy, "logprobs": 1},
        "OpenAI stream": greedy,
        "OpenAI whole": greedy,
    }


def is_openai(kind: str) -> bool:
    return kind.startswith("OpenAI")


@dataclass
class Heard:
    """``texts`` are those of the ``n`` sequences, ``came`` the moment of each event and the characters until then."""

    texts: list[str] = field(default_factory=lambda: [""])
    tokens: int = 0
    ends: int = 0
    logprobs: int = 0
    came: list[tuple[float, int]] = field(default_factory=list)
    failure: str = ""
    ended_s: float | None = None

    @property
    def characters(self) -> int:
        return sum(map(len, self.texts))

    def until(self, moment_s: float) -> int:
        """Characters that had come by then."""
        return max((count for at_s, count in self.came if at_s <= moment_s), default=0)

    def after(self, moment_s: float) -> float | None:
        """When the next event came."""
        return next((at_s for at_s, _ in self.came if at_s > moment_s), None)

    def differs_at(self, other: Heard) -> int | None:
        """The first character that is another in a sequence; None when there is none."""
        for mine, its in zip(self.texts, other.texts, strict=False):
            if mine != its:
                pairs = enumerate(zip(mine, its, strict=False))
                return next((i for i, (a, b) in pairs if a != b), min(len(mine), len(its)))
        return None if len(self.texts) == len(other.texts) else 0

    def take(self, event: dict[str, Any]) -> None:
        """One event of the generate contract, or of OpenAI's completions."""
        if "error" in event:
            self.failure = json.dumps(event["error"])
        texts, reasons = _texts(event)
        self.texts += [""] * (len(texts) - len(self.texts))
        self.texts = [mine + new for mine, new in zip(self.texts, texts or [""], strict=False)]
        self.ends += bool(reasons) and all(reason in ENDS for reason in reasons)
        self.tokens += sum(_listed(event.get("num_output_tokens", 0)))
        self.logprobs += len(json.loads(event["logprobs"])) if "logprobs" in event else 0
        self.came.append((time.monotonic(), self.characters))


def _texts(event: dict[str, Any]) -> tuple[list[str], list[Any]]:
    if "choices" in event:
        return [choice.get("text", "") for choice in event["choices"]], [
            choice.get("finish_reason") for choice in event["choices"]
        ]
    return _listed(event.get("text_output", [])), _listed(event.get("finish_reason", []))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Wave:
    """Begins all of them."""

    def __init__(self, kserve_port: int, openai_port: int, model: str, tokens: int) -> None:
        self._ports = {False: kserve_port, True: openai_port}
        self._model = model
        self.begun_s = time.monotonic()
        self.heard = {kind: Heard() for kind in kinds(tokens)}
        asked = enumerate(kinds(tokens).items())
        self._threads = [
            threading.Thread(target=self._ask, args=(kind, PROMPTS[i % len(PROMPTS)], sampling), daemon=True)
            for i, (kind, sampling) in asked
        ]
        for thread in self._threads:
            thread.start()

    def until(self, characters: int) -> None:
        """Blocks until so many have come through Triton, or a minute has passed."""
        while self._characters() < characters and time.monotonic() < self.begun_s + 60:
            time.sleep(0.002)

    def _characters(self) -> int:
        return sum(heard.characters for kind, heard in self.heard.items() if not is_openai(kind))

    def outcomes(self) -> dict[str, Heard]:
        """Once all have ended; what has not by then has a failure that says so."""
        deadline_s = time.monotonic() + LIMIT_S
        for thread in self._threads:
            thread.join(max(0, deadline_s - time.monotonic()))
        for heard in self.heard.values():
            if heard.ended_s is None:
                heard.failure = f"no end after {LIMIT_S} s"
        return self.heard

    def _ask(self, kind: str, prompt: str, sampling: dict[str, Any]) -> None:
        heard, is_whole = self.heard[kind], kind.endswith("whole")
        if is_openai(kind):
            path, body = "/v1/completions", {"model": self._model, "prompt": prompt, "stream": not is_whole, **sampling}
        else:
            path = f"/v2/models/generate/generate{'' if is_whole else '_stream'}"
            returns = ["finish_reason", "num_output_tokens", *(["logprobs"] if "logprobs" in sampling else [])]
            body = {
                "text_input": prompt,
                "stream": not is_whole,
                "exclude_input_in_output": True,
                "sampling_parameters": json.dumps(sampling),
                **{f"return_{name}": True for name in returns},
            }
        connection = http.client.HTTPConnection("127.0.0.1", self._ports[is_openai(kind)], timeout=LIMIT_S)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                for line in response:
                    text = line.decode().strip().removeprefix("data: ")
                    if text and text != "[DONE]":
                        heard.take(json.loads(text))
                if response.status != 200:
                    heard.failure = f"HTTP {response.status} {heard.failure}"
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            heard.failure += f" {error!r}"
        finally:
            connection.close()
            heard.ended_s = time.monotonic()
