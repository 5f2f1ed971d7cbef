"""What is asked, conversation by conversation. The i-th follows from the seed, the nonce and i alone, whichever worker
asks it.

Requests without history are conversations of one turn.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from trident.bench import lengths, trace
from trident.bench.plan import Lengths, Workload
from trident.bench.text import Texts, texts
from trident.errors import ConfigurationError


class Turn(msgspec.Struct, frozen=True):
    """What the user says, the longest answer, and how long the text is meant to be (None for a user's own)."""

    messages: list[dict[str, str]]
    max_tokens: int
    input_tokens: int | None = None


class Conversation(msgspec.Struct, frozen=True):
    """Turns of one user. Each is asked with all that was said before it."""

    turns: list[Turn]


class Conversations(Protocol):
    """An endless list."""

    def __getitem__(self, index: int) -> Conversation: ...


class Kind(msgspec.Struct, frozen=True):
    """One part of the built-in mix."""

    name: str
    share: float
    input_tokens: Lengths
    output_tokens: Lengths


MIX = [
    Kind("question", 0.45, Lengths(kind="lognormal", a=40, b=0.5), Lengths(kind="lognormal", a=80, b=0.6)),
    Kind("chat", 0.30, Lengths(kind="lognormal", a=200, b=0.7), Lengths(kind="lognormal", a=160, b=0.6)),
    Kind("summary", 0.15, Lengths(kind="lognormal", a=800, b=0.3), Lengths(kind="lognormal", a=100, b=0.4)),
    Kind("writing", 0.10, Lengths(kind="lognormal", a=60, b=0.4), Lengths(kind="lognormal", a=400, b=0.4)),
]
"""A guess at mixed use with no user's data in it: many short questions, some long documents, some long answers."""


def conversations(workload: Workload) -> Conversations:
    """Raises ConfigurationError when its file cannot be used."""
    return _FromFile(workload) if workload.kind == "jsonl" else _Synthetic(workload, texts(workload.text))


class _Synthetic:
    """Lengths are drawn from a stream of their own, so that another nonce asks the same lengths with other words."""

    def __init__(self, workload: Workload, texts: Texts) -> None:
        self._workload = workload
        self._texts = texts
        self._trace = trace.read(Path(workload.trace_path)) if workload.trace_path else []
        self._nonce = int.from_bytes(hashlib.sha256(workload.nonce.encode()).digest()[:8], "big")
        self._prefixes = [
            self._prefix(number) for number in range(workload.prefix_count if workload.prefix_tokens else 0)
        ]

    def __getitem__(self, index: int) -> Conversation:
        rng = np.random.default_rng((self._workload.seed, 0, index))
        words = np.random.default_rng((self._workload.seed, 1, self._nonce, index))
        prefix = self._prefixes[int(rng.integers(0, len(self._prefixes)))] if self._prefixes else None
        kind = self._kind(rng)
        turns = []
        for number in range(self._workload.turns):
            wanted, longest = lengths.draw(kind.input_tokens, rng), lengths.draw(kind.output_tokens, rng)
            if index < len(self._trace):
                wanted = self._trace[index].input_length or wanted
                longest = self._trace[index].output_length or longest
            shared = self._workload.prefix_tokens if prefix and number == 0 else 0
            text = self._texts.make(max(1, wanted - shared), words)
            content = f"{prefix} {text}" if shared else text
            turns.append(Turn([{"role": "user", "content": content}], longest, max(wanted, shared + 1)))
        return Conversation(turns)

    def _kind(self, rng: np.random.Generator) -> Kind:
        if self._workload.kind == "mix":
            return MIX[int(rng.choice(len(MIX), p=[kind.share for kind in MIX]))]
        return Kind("all", 1.0, self._workload.input_tokens, self._workload.output_tokens)

    def _prefix(self, number: int) -> str:
        rng = np.random.default_rng((self._workload.seed, 2, self._nonce, number))
        # The template's own tokens are taken off the text that follows.
        return self._texts.make(self._workload.prefix_tokens + round(self._workload.text.overhead_tokens), rng)


class _Line(msgspec.Struct):
    """A line of the user's file: one of the three ways to say something."""

    prompt: str | None = None
    messages: list[dict[str, str]] | None = None
    turns: list[str] | None = None
    max_tokens: int | None = None
    output_tokens: int | None = None


class _FromFile:
    """The user's own prompts, in the order of the file and from its start again. Nothing is added to them: a file that
    is shorter than the run meets the server's prefix cache."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        path = Path(workload.path or "")
        try:
            lines = [line for line in path.read_bytes().splitlines() if line.strip()]
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read", str(error), "check the path of --jsonl") from error
        self._lines = [self._line(path, number, line) for number, line in enumerate(lines, 1)]
        if not self._lines:
            raise ConfigurationError(f"{path} is empty", "it has no line with a prompt", "give one JSON object a line")

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Conversation:
        return self._lines[index % len(self._lines)]

    def _line(self, path: Path, number: int, content: bytes) -> Conversation:
        try:
            line = msgspec.json.decode(content, type=_Line)
        except msgspec.MsgspecError as error:
            raise _bad_line(path, number, str(error)) from error
        longest = line.max_tokens or line.output_tokens
        if longest is None:
            rng = np.random.default_rng((self._workload.seed, 0, number))
            longest = lengths.draw(self._workload.output_tokens, rng)
        if line.turns:
            return Conversation([Turn([{"role": "user", "content": text}], longest) for text in line.turns])
        if line.messages:
            return Conversation([Turn(line.messages, longest)])
        if line.prompt:
            return Conversation([Turn([{"role": "user", "content": line.prompt}], longest)])
        raise _bad_line(path, number, "it has none of prompt, messages, turns")


def _bad_line(path: Path, number: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"Line {number} of {path} cannot be used",
        why,
        'write lines like {"prompt": "…", "max_tokens": 64}, {"messages": [{"role": "user", "content": "…"}]} or '
        '{"turns": ["…", "…"]}',
    )
