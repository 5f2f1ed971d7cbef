"""Servers that do not exist: a response surface with a known best configuration, and noise of both kinds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from trident.tune import capacity
from trident.tune.records import Changes, Measured, Record, Step
from trident.tune.space import Space

SLICES = 20
START_S, LOOK_S, RUN_S, GATE_S = 12.0, 5.0, 15.0, 3.0
MOST_LEVEL = 256.0


@dataclass
class Surface:
    """``truth`` gives the goodput of a configuration at its best level, None where it does not start. Load has one best
    level, ``best_level``; goodput falls off on both sides. ``starts_share`` is the noise from start to start;
    ``answers`` are what the quality gate gets."""

    space: Space
    truth: Callable[[Changes], float | None]
    best_level: float = 8.0
    slices_share: float = 0.15
    starts_share: float = 0.02
    seed: int = 0
    answers: Callable[[Changes], list[str]] = lambda _: ["the same"]
    measured: list[Step] = field(default_factory=list)
    running: Changes | None = None
    _start_factor: float = 1.0

    def run(self, step: Step) -> Record:
        """As a real runner does: the server goes on where the next step has the same configuration."""
        self.measured.append(step)
        rng = np.random.default_rng((self.seed, len(self.measured)))
        value = self.truth(step.changes)
        if value is None:
            self.running = None
            return Record(step=step, failure="it does not start", start_s=START_S, took_s=START_S)
        start_s = 0.0
        if step.is_fresh or self.running != step.changes:
            start_s, self.running = START_S, dict(step.changes)
            self._start_factor = 1 + self.starts_share * rng.standard_normal()
        if step.purpose == "gate":
            return Record(step=step, answers=self.answers(step.changes), start_s=start_s, took_s=start_s + GATE_S)
        if step.level is not None:
            return Record(
                step=step, levels=[self._at(value, step.level, 1.0, rng)], start_s=start_s, took_s=start_s + RUN_S
            )
        levels: list[Measured] = []
        while True:
            seen = [(one.level, one.score) for one in levels]
            level = capacity.next_level(seen, step.first_level, MOST_LEVEL, is_near=step.is_near)
            if level is None:
                break
            levels.append(self._at(value, level, 2.0, rng))
        return Record(step=step, levels=levels, start_s=start_s, took_s=start_s + LOOK_S * len(levels))

    def _at(self, value: float, level: float, noise: float, rng: np.random.Generator) -> Measured:
        reached = value * self._start_factor * np.exp(-0.5 * np.log(level / self.best_level) ** 2)
        samples = reached * (1 + noise * self.slices_share * rng.standard_normal(SLICES))
        figures = {
            "output_token_throughput": 32 * float(samples.mean()),
            "e2e_p95_ms": 1000 * level / float(samples.mean()),
        }
        return Measured(
            level=level, score=float(samples.mean()), samples=[float(one) for one in samples], figures=figures
        )

    def everything(self) -> Iterator[Changes]:
        """All configurations."""
        options = [[(name, None), *((name, value) for value in values)] for name, values in self.space.knobs.items()]
        for chosen in itertools.product(*options):
            yield {name: value for name, value in chosen if value is not None}

    def best_value(self) -> float:
        """Of the best configuration."""
        return max(value for changes in self.everything() if (value := self.truth(changes)) is not None)

    def regret(self, changes: Changes) -> float:
        """How much of the best is missing, as a share; all of it where it does not start."""
        best = self.best_value()
        return (best - (self.truth(changes) or 0.0)) / best


def space(**knobs: tuple[object, ...]) -> Space:
    """Without presets."""
    return Space({name: list(values) for name, values in knobs.items()})


def separable(seed: int = 0, **noise: float) -> Surface:
    """Two knobs matter, two do nothing, one value does not start; the default reaches 10, the best 15."""
    effects = {
        ("stream_interval", 2): 1.08, ("stream_interval", 8): 1.25, ("stream_interval", 16): 1.2,
        ("max_num_seqs", 8): 0.7, ("max_num_seqs", 64): 1.2, ("max_num_seqs", 256): 1.1,
        ("max_num_batched_tokens", 16384): None, ("max_num_batched_tokens", 512): 0.95,
    }  # fmt: skip

    def truth(changes: Changes) -> float | None:
        value = 10.0
        for item in changes.items():
            effect = effects.get(item, 1.0)
            if effect is None:
                return None
            value *= effect
        return value

    return Surface(
        space(
            stream_interval=(2, 8, 16), max_num_seqs=(8, 64, 256), max_num_batched_tokens=(512, 2048, 16384),
            async_scheduling=(True, False), block_size=(32, 64, 128),
        ),
        truth, seed=seed, **noise,
    )  # fmt: skip


def coupled(seed: int = 0, **noise: float) -> Surface:
    """Two knobs help only together: each alone makes it a little worse."""

    def truth(changes: Changes) -> float | None:
        seqs, tokens = changes.get("max_num_seqs") == 256, changes.get("max_num_batched_tokens") == 8192
        value = 10.0 * (1.4 if seqs and tokens else 0.95 if seqs or tokens else 1.0)
        value *= {2: 1.05, 4: 1.1, 8: 1.08}.get(changes.get("stream_interval", 1), 1.0)
        return value * (0.8 if changes.get("enforce_eager") else 1.0)

    return Surface(
        space(
            stream_interval=(2, 4, 8), max_num_seqs=(64, 128, 256), max_num_batched_tokens=(2048, 4096, 8192),
            enforce_eager=(True,),
        ),
        truth, seed=seed, **noise,
    )  # fmt: skip


def flat(seed: int = 0, **noise: float) -> Surface:
    """Nothing matters."""
    return Surface(space(stream_interval=(2, 4, 8), max_num_seqs=(64, 256), block_size=(32, 64)), lambda _: 10.0,
                   seed=seed, **noise)  # fmt: skip
