"""What is measured, the most valuable first. A run that is cut off has measured what stands before."""

from __future__ import annotations

from typing import Any, NamedTuple

LONG, SHORT = 256, 16
"""Tokens of an answer."""

ALONE, RECIPE = "engine alone", "recipe, blocking"
KSERVE, OPENAI, GRPC, INFER = "Trident generate", "Trident OpenAI", "Trident gRPC", "Trident /infer"
GRAPHS_KSERVE, GRAPHS_OPENAI = "Graphs generate", "Graphs OpenAI"
PYTHON, RUST = "vllm serve, Python", "vllm serve, Rust"


FP8_CACHE, FP8_WEIGHTS, SYNCHRONOUS = "fp8 KV cache", "fp8 weights", "synchronous scheduling"
SECOND, MODE, GUESSING = "second engine", "performance mode throughput", "n-gram speculation"

ENGINES: dict[str, dict[str, Any]] = {
    FP8_CACHE: {"kv_cache_dtype": "fp8"},
    FP8_WEIGHTS: {"quantization": "fp8"},
    SYNCHRONOUS: {"async_scheduling": False},
    SECOND: {},
    MODE: {"performance_mode": "throughput"},
    GUESSING: {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}},
}
"""Other engines, each measured alone: what a setting gives this model."""


class Measure(NamedTuple):
    """``waves`` requests for each of ``streams``, all of ``tokens``, or ``is_mixed`` and so many in the mean."""

    door: str
    streams: int
    tokens: int = LONG
    waves: int = 3
    setup: str = ""
    is_mixed: bool = False
    is_profiled: bool = False

    @property
    def label(self) -> str:
        return f"{self.door}{f' ({self.setup})' if self.setup else ''}, {self.streams} × {self.tokens}"


class Together(NamedTuple):
    """Engines without a door share a GPU, and ``streams`` of ``tokens`` among them."""

    engines: tuple[str, ...]
    streams: int
    tokens: int = LONG
    waves: int = 2


class Stop(NamedTuple):
    """A server gives its memory back."""

    server: str


class Start(NamedTuple):
    """Servers that had no place at the beginning, side by side."""

    servers: tuple[str, ...]
    note: str


class Pin(NamedTuple):
    """A process of Trident gets whole cores of its own, or none; ``is_split``: its first thread one of them alone."""

    cores: int = 0
    who: str = "engine core"
    is_split: bool = False

    @property
    def setup(self) -> str:
        apart = ", main thread apart" if self.is_split else ""
        return f"{self.cores} own cores for the {self.who}{apart}" if self.cores else ""


class Nice(NamedTuple):
    """All threads of a process of Trident get this niceness."""

    niceness: int
    who: str = "engine core"

    @property
    def setup(self) -> str:
        return f"{self.who} at niceness {self.niceness}"


Step = Measure | Together | Start | Stop | Pin | Nice


def pinning(variants: list[str]) -> list[Step]:
    """What the engine loses behind KServe: cores of its own against none, larger CUDA graphs against vLLM's, answers of
    all lengths, which begin and end at any step, against equal ones, which do so together."""

    def under(pin: Pin, *doors: str, streams: int = 512) -> list[Step]:
        return [pin, *(Measure(door, streams, LONG, 2, pin.setup) for door in doors)]

    two, free, nice = Pin(2), Pin(), Nice(-5)
    profiled = [Measure(door, 512, LONG, 1, "profiled", is_profiled=True) for door in (KSERVE, OPENAI)]
    alone = Measure(ALONE, 512, LONG, 2)

    def mixed(*doors: str) -> list[Step]:
        return [Measure(door, 512, LONG // 2, 2, "mixed lengths", True) for door in doors]

    return [
        *(Measure(door, 64, LONG, 1, "warm-up") for door in (ALONE, KSERVE, OPENAI, GRAPHS_KSERVE, GRAPHS_OPENAI)),
        alone,
        *under(free, KSERVE, GRAPHS_KSERVE),
        *under(two, KSERVE),
        free,
        *mixed(ALONE, KSERVE, GRAPHS_KSERVE),
        *profiled,
        *under(free, OPENAI, GRAPHS_OPENAI),
        *under(two, OPENAI),
        *under(free, KSERVE, GRAPHS_KSERVE),
        *under(two, KSERVE, GRAPHS_KSERVE),
        alone,
        *under(free, KSERVE, GRAPHS_KSERVE, streams=256),
        *under(two, KSERVE, streams=256),
        *under(two, OPENAI),
        *under(Pin(2, is_split=True), KSERVE),
        *under(Pin(1, "relay"), KSERVE),
        *under(Pin(3), KSERVE),
        free,
        *mixed(OPENAI, GRAPHS_OPENAI),
        *(Measure(door, 512, LONG, 2) for door in variants),
        nice,
        Measure(KSERVE, 512, LONG, 2, nice.setup),
    ]


def beside_alone(*names: str) -> list[Step]:
    """Other engines, in turn with the engine as it is, and their ends."""
    return [
        *(Measure(name, 512, LONG, 2) for name in (ALONE, *names) * 2),
        *(Measure(name, streams, LONG, 2) for streams in (64, 1) for name in (ALONE, *names)),
        *(Stop(name) for name in names),
    ]


def defaults(variants: list[str]) -> list[Step]:
    """Trident as it is by default, with vLLM's CUDA graphs and with larger ones, and vLLM's Rust server; then other
    engines."""
    doors = (ALONE, KSERVE, GRAPHS_KSERVE, OPENAI, GRAPHS_OPENAI)
    return [
        *(Measure(door, 64, LONG, 1, "warm-up") for door in doors),
        *(Measure(door, 512, LONG, 2) for door in doors * 2),
        *(Measure(door, 512, LONG // 2, 2, "mixed lengths", True) for door in doors * 2),
        *(Measure(door, 256, LONG, 2) for door in doors * 2),
        *(Measure(door, 1, SHORT, 24) for door in doors),
        *(Measure(door, 64, LONG, 2) for door in doors),
        *(Measure(door, 512, LONG, 2) for door in variants),
        *(Measure(door, 1024, LONG, 1) for door in (ALONE, KSERVE, OPENAI)),
        Stop("graphs"),
        Start(("vllm-serve-rust",), "its compiled code was there, beside idle servers"),
        Measure(RUST, 64, LONG, 1, "warm-up"),
        *(Measure(door, 512, LONG, 2) for door in (RUST, OPENAI) * 2),
        *(Measure(door, 1024, LONG, 1) for door in (RUST, OPENAI)),
        *(Measure(RUST, streams, LONG, 2) for streams in (64, 256)),
        Measure(RUST, 1, SHORT, 24),
        *(Measure(door, 512, SHORT, 4) for door in (ALONE, KSERVE, OPENAI, RUST, INFER)),
        Stop("vllm-serve-rust"),
        Stop("trident"),
        Start(("trident",), "its compiled code was there, alone"),
        Stop("trident"),
        Start((FP8_CACHE, FP8_WEIGHTS), "side by side"),
        *beside_alone(FP8_CACHE, FP8_WEIGHTS),
        Start((MODE, GUESSING), "side by side"),
        *beside_alone(MODE, GUESSING),
    ]


def others(variants: list[str]) -> list[Step]:
    """Trident as it is by default beside vLLM's Python server and the recipe as people run it; then other engines."""
    servers = (ALONE, KSERVE, OPENAI, PYTHON)
    return [
        *(Measure(door, 64, LONG, 1, "warm-up") for door in servers),
        *(Measure(door, 512, LONG, 2) for door in servers * 2),
        *(Measure(door, 512, LONG // 2, 2, "mixed lengths", True) for door in servers),
        *(Measure(door, 512, LONG, 1) for door in (INFER, RECIPE)),
        *(Measure(door, 512, LONG, 1, "mixed lengths", True) for door in (INFER, RECIPE)),
        *(Measure(door, 256, LONG, 2) for door in servers * 2),
        *(Measure(door, 512, LONG, 2) for door in (GRPC, *variants)),
        *(Stop(server) for server in ("recipe", "vllm-serve-python", "trident")),
        Start((MODE, GUESSING), "side by side"),
        *beside_alone(MODE, GUESSING),
        Start((SYNCHRONOUS,), "beside an idle engine"),
        *beside_alone(SYNCHRONOUS),
    ]


def shared(_: list[str]) -> list[Step]:
    """Two engines on one GPU, and what asynchronous scheduling brings; ``--first`` names the three engines."""
    both = (ALONE, SECOND)
    return [
        *(Measure(engine, 64, LONG, 1, "warm-up") for engine in (*both, SYNCHRONOUS)),
        *(Measure(ALONE, 512, LONG, 2), Together(both, 512), Measure(SYNCHRONOUS, 512, LONG, 2)) * 2,
        *(Measure(ALONE, 64, LONG, 2), Together(both, 64), Measure(SYNCHRONOUS, 64, LONG, 2)),
        *(Measure(engine, 1, LONG, 2) for engine in (ALONE, SYNCHRONOUS)),
    ]


def plan(variants: list[str]) -> list[Step]:
    """All steps; ``variants`` are doors of Trident with other stubs."""
    two, three = Pin(2), (FP8_CACHE, FP8_WEIGHTS, SYNCHRONOUS)
    big = [Measure(door, 512) for door in (ALONE, KSERVE, OPENAI)]
    middle = [Measure(door, 256) for door in (ALONE, KSERVE, OPENAI)]
    return [
        *(Measure(door, 64, LONG, 1, "warm-up") for door in (ALONE, KSERVE, PYTHON)),
        *big,
        Measure(PYTHON, 512, LONG, 2),
        *middle,
        *(Measure(door, 1, SHORT, 24) for door in (ALONE, KSERVE, OPENAI, PYTHON, GRPC)),
        Measure(INFER, 512, LONG, 2),
        Measure(RECIPE, 512, LONG, 1),
        Measure(INFER, 512, LONG, 2, "mixed lengths", True),
        Measure(RECIPE, 512, LONG, 1, "mixed lengths", True),
        Measure(GRPC, 512),
        *(Measure(door, 512) for door in variants),
        two,
        *(Measure(door, 512, setup=two.setup) for door in (KSERVE, OPENAI, *variants[:1])),
        Pin(),
        *big,
        Measure(PYTHON, 256, LONG, 2),
        *(Measure(door, 64, LONG, 4) for door in (ALONE, KSERVE, OPENAI, PYTHON)),
        *(Measure(door, 1, LONG, 3) for door in (ALONE, KSERVE, OPENAI, PYTHON)),
        *(Measure(door, 512, SHORT, 4) for door in (ALONE, KSERVE, OPENAI, PYTHON, INFER)),
        Stop("vllm-serve-python"),
        Start(("vllm-serve-rust",), "compiled before, alone"),
        Measure(RUST, 64, LONG, 1, "warm-up"),
        Measure(RUST, 512),
        Measure(OPENAI, 512),
        Measure(RUST, 256),
        Measure(RUST, 1, SHORT, 24),
        *middle,
        *(Measure(door, 256) for door in (GRPC, *variants)),
        *(Measure(door, 1024, SHORT, 3) for door in (KSERVE, OPENAI, RUST, INFER)),
        *(Measure(door, 1024, LONG, 2) for door in (KSERVE, OPENAI, RUST)),
        *(Measure(door, 64, LONG, 4) for door in (INFER, GRPC, RUST)),
        *(Stop(server) for server in ("recipe", ALONE, "vllm-serve-rust", "trident")),
        Start(("trident",), "compiled before, alone"),
        Stop("trident"),
        Start(three, "side by side"),
        *(Measure(engine, 512) for engine in three),
        *(Measure(engine, 1, LONG, 3) for engine in three),
        *(Measure(engine, 512) for engine in three),
    ]


def needed_s(step: Step) -> float:
    """Seconds that it takes at the slowest door that was seen, so that nothing begins that cannot end."""
    if isinstance(step, Start):
        return 90
    if isinstance(step, Measure | Together):
        rates = {PYTHON: 12_000, RECIPE: 8_000}
        tokens = step.streams * step.waves * (step.tokens + 10)
        one_s = step.waves * step.tokens * 0.004
        door = step.door if isinstance(step, Measure) else ALONE
        return 3 + max(tokens / rates.get(door, 18_000), one_s)
    return 0 if isinstance(step, Pin | Nice) else 12


PLANS = {"all": plan, "pinning": pinning, "defaults": defaults, "others": others, "shared": shared}
