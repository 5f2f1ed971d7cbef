"""What to try next. By turns near the best, so that what is good is refined, and anywhere; as long as the base is the
best, anywhere only. Anywhere means pairs of values that have not been seen together, so that what helps only together
is found, though each alone harms; and once there are none left, Optuna's TPE over all knobs, which combines what was
good on average. Proposals near the best are mixed from the best and one of TPE's.

The study is made anew for each proposal from what the journal has, with a seed of its own. So a search that was
interrupted proposes what it would have proposed.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trident.tune.records import Changes
from trident.tune.space import Space, key

DRAWS = 20
"""Proposals that were tried already are drawn again so many times."""
KEEP_SHARE = 0.7
"""Of a proposal near the best: the chance that a knob stays as the best has it."""
PAIR_DRAWS = 64
"""Random configurations of which the one with the most new pairs is proposed."""


class Tried(NamedTuple):
    """A configuration and its score; None where it failed, or was ruled out."""

    changes: Changes
    score: float | None


def propose(space: Space, tried: Sequence[Tried], best: Changes, *, seed: int) -> Changes | None:
    """None when everything has been tried, as far as can be found."""
    known = {key(one.changes) for one in tried}
    rng = np.random.default_rng(seed)
    is_near = bool(best) and len(tried) % 2 == 0
    paired = None if is_near else _with_new_pairs(space, tried, rng)
    if paired is not None:
        return paired
    for draw in range(DRAWS):
        drawn = _drawn(space, tried, int(rng.integers(2**31)) + draw)
        for changes in [_mixed(space, drawn, best, rng), drawn] if is_near else [drawn]:
            if key(changes) not in known:
                return changes
    return next((one for one in _neighbours(space, best) if key(one) not in known), None)


def _mixed(space: Space, drawn: Changes, best: Changes, rng: np.random.Generator) -> Changes:
    kept: Changes = {}
    for name in space.knobs:
        source = best if rng.random() < KEEP_SHARE else drawn
        if name in source:
            kept[name] = source[name]
    return kept


def _with_new_pairs(space: Space, tried: Sequence[Tried], rng: np.random.Generator) -> Changes | None:
    """As in pairwise testing: few configurations, in which every value of a knob meets every one of each other. None
    where no new pair is found."""
    seen = {pair for one in tried for pair in _pairs([_index(space, name, one.changes) for name in space.knobs])}
    sizes = [len(values) + 1 for values in space.knobs.values()]
    drawn = [[int(rng.integers(size)) for size in sizes] for _ in range(PAIR_DRAWS)]
    most = max(drawn, key=lambda indices: len(_pairs(indices) - seen))
    return _changes(space, most) if _pairs(most) - seen else None


def _pairs(indices: Sequence[int]) -> set[tuple[int, int, int, int]]:
    numbered = list(enumerate(indices))
    return {(*one, *other) for one, other in itertools.combinations(numbered, 2)}


def _drawn(space: Space, tried: Sequence[Tried], seed: int) -> Changes:
    import optuna

    # Index 0 is the base configuration's own value.
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.CategoricalDistribution(list(range(len(values) + 1)))
        for name, values in space.knobs.items()
    }
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=4)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        least = min((one.score for one in tried if one.score is not None), default=0.0)
        for one in tried:
            has_failed = one.score is None
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: _index(space, name, one.changes) for name in space.knobs},
                    distributions=distributions,
                    value=least if one.score is None else one.score,
                    constraints={"serves": 1.0 if has_failed else -1.0},
                )
            )
        asked = study.ask(distributions)
    return _changes(space, [asked.params[name] for name in space.knobs])


def _changes(space: Space, indices: Sequence[int]) -> Changes:
    return {
        name: values[index - 1] for (name, values), index in zip(space.knobs.items(), indices, strict=True) if index
    }


def _index(space: Space, name: str, changes: Changes) -> int:
    return 1 + list(space.knobs[name]).index(changes[name]) if name in changes else 0


def _neighbours(space: Space, best: Changes) -> list[Changes]:
    """Everything that differs from the best in one knob."""
    found: list[Changes] = []
    for name, values in space.knobs.items():
        rest = {other: value for other, value in best.items() if other != name}
        found += [rest] if name in best else []
        found += [{**rest, name: value} for value in values]
    return found
