"""How far ``trident tune``'s search is from the best after n trials, and after so many minutes, on servers that do not
exist: against random search and a grid, which look at and measure each configuration once and believe the best score.

    python benchmarks/tune_regret.py [SEEDS]

Regret is the true value that the configuration believed in lacks, as a share of the best. The last table asks how often
each says that something is better where nothing is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tune_surfaces as surfaces
from tune_surfaces import Surface

from trident.tune.plan import Plan
from trident.tune.records import Changes, Step
from trident.tune.search import Search

TRIALS = (3, 5, 10, 20, 40)
MINUTES = (5, 10, 15, 30, 60)
SURFACES: dict[str, Callable[..., Surface]] = {"separable": surfaces.separable, "coupled": surfaces.coupled}


class Moment(NamedTuple):
    """What a search believes in after so many trials and seconds."""

    trials: int
    spent_s: float
    believed: Changes


def ours(surface: Surface, seed: int) -> list[Moment]:
    """Without held-out runs, which change no belief."""
    search = Search(Plan(budget_s=60 * MINUTES[-1], seed=seed, most_trials=TRIALS[-1]), surface.space)
    steps, moments = search.steps(), []
    step: Step | None = next(steps)
    while step is not None:
        found = search.found
        if step.purpose == "held-out":
            break
        if found.best is not None:
            moments.append(Moment(len(found.candidates) - (step.level is None), found.spent_s, found.best.changes))
        record = surface.run(step)
        try:
            step = steps.send(record)
        except StopIteration:
            step = None
    best = search.found.best
    assert best is not None
    return [*moments, Moment(len(search.found.candidates), search.found.spent_s, best.changes)]


def believing(surface: Surface, order: Iterable[Changes]) -> list[Moment]:
    """A search without doubt."""
    spent_s, best, believed, moments = 0.0, float("-inf"), {}, []
    for number, changes in enumerate(order, 1):
        look = surface.run(Step(purpose="search", changes=changes))
        spent_s += look.took_s
        if look.best is not None:
            record = surface.run(Step(purpose="search", changes=changes, level=look.best.level))
            spent_s += record.took_s
            if record.best is not None and record.best.score > best:
                best, believed = record.best.score, changes
        moments.append(Moment(number, spent_s, believed))
        if number >= TRIALS[-1] and spent_s >= 60 * MINUTES[-1]:
            break
    return moments


def at_random(surface: Surface, seed: int) -> list[Moment]:
    """The base first, then anything."""
    rng = np.random.default_rng(seed)

    def order() -> Iterator[Changes]:
        yield {}
        while True:
            chosen = {
                name: [None, *values][rng.integers(len(values) + 1)] for name, values in surface.space.knobs.items()
            }
            yield {name: value for name, value in chosen.items() if value is not None}

    return believing(surface, order())


def grid(surface: Surface, seed: int) -> list[Moment]:
    """Every combination in its order; ``seed`` is of the noise alone."""
    del seed
    return believing(surface, surface.everything())


METHODS: dict[str, Callable[[Surface, int], list[Moment]]] = {"trident tune": ours, "random": at_random, "grid": grid}


def regret_at(surface: Surface, moments: list[Moment], reached: Callable[[Moment], bool]) -> float:
    """Of what is believed in last before ``reached`` ends."""
    believed: Changes = {}
    for moment in moments:
        if not reached(moment):
            break
        believed = moment.believed
    return surface.regret(believed)


def main(seeds: int) -> None:
    """Prints the tables."""
    for name, make in SURFACES.items():
        print(f"\n{name}: {len(list(make().everything()))} configurations, base {make().regret({}):.1%} below the best")
        runs = {
            method: [(make(seed), run(make(seed), seed)) for seed in range(seeds)] for method, run in METHODS.items()
        }
        print(
            f"{'mean regret after':>18}"
            + "".join(f"{n:>6} trials" for n in TRIALS)
            + "".join(f"{n:>7} min" for n in MINUTES)
        )
        for method, found in runs.items():
            by_trials = [np.mean([regret_at(s, m, lambda one, n=n: one.trials <= n) for s, m in found]) for n in TRIALS]
            by_time = [
                np.mean([regret_at(s, m, lambda one, n=n: one.spent_s <= 60 * n) for s, m in found]) for n in MINUTES
            ]
            print(f"{method:>18}" + "".join(f"{v:>13.1%}" for v in by_trials) + "".join(f"{v:>11.1%}" for v in by_time))
    print("\nnothing matters: share of searches of 15 minutes that believe in a change")
    for method, run in METHODS.items():
        moments = [run(surfaces.flat(seed), seed) for seed in range(seeds)]
        last = [[one for one in each if one.spent_s <= 900][-1].believed for each in moments]
        print(f"{method:>18} {np.mean([bool(one) for one in last]):>6.0%}")
    proven = [is_proven(surfaces.flat(seed), seed) for seed in range(seeds)]
    print(f"{'with held-out runs':>18} {np.mean(proven):>6.0%}")


def is_proven(surface: Surface, seed: int) -> bool:
    """The verdict of a whole search of 15 minutes: only such a change is written into ``trident.toml``."""
    steps = Search(Plan(budget_s=900, seed=seed), surface.space).steps()
    step = next(steps)
    while True:
        try:
            step = steps.send(surface.run(step))
        except StopIteration as end:
            return bool(end.value.is_better)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
