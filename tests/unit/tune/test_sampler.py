"""What is proposed next."""

from __future__ import annotations

import itertools

import tune_surfaces as surfaces

from trident.tune import sampler
from trident.tune.sampler import Tried
from trident.tune.space import Space, key


def proposed(space: Space, count: int, *, seed: int = 0) -> list[Tried]:
    tried = [Tried({}, 10.0)]
    while len(tried) < count:
        changes = sampler.propose(space, tried, {}, seed=seed + len(tried))
        if changes is None:
            break
        tried.append(Tried(changes, 10.0))
    return tried


def test_nothing_is_proposed_twice_and_everything_in_the_end() -> None:
    space = Space({"stream_interval": [2, 8], "max_num_seqs": [64]})
    tried = proposed(space, 100)
    assert len({key(one.changes) for one in tried}) == len(tried) == 6


def test_the_same_trials_give_the_same_proposal() -> None:
    space = surfaces.coupled().space
    assert proposed(space, 12) == proposed(space, 12)


def test_pairs_of_values_meet_soon() -> None:
    """Of 128 configurations 24 are enough for every two values of two knobs."""
    space = surfaces.coupled().space
    seen = set()
    for one in proposed(space, 24):
        values = [(name, one.changes.get(name)) for name in space.knobs]
        seen |= set(itertools.combinations(values, 2))
    options = [[(name, value) for value in (None, *values)] for name, values in space.knobs.items()]
    wanted = {pair for one, other in itertools.combinations(options, 2) for pair in itertools.product(one, other)}
    assert len(wanted - seen) <= len(wanted) // 50


def test_near_the_best_most_knobs_stay() -> None:
    space = surfaces.coupled().space
    best = {"stream_interval": 8, "max_num_seqs": 256, "max_num_batched_tokens": 8192}
    others = [Tried({"enforce_eager": True}, 8.0), Tried({"stream_interval": 2}, 11.0)]
    tried = [Tried({}, 10.0), Tried(best, 14.0), *others]
    near = [sampler.propose(space, tried, best, seed=seed) or {} for seed in range(40)]
    kept = [sum(one.get(name) == value for name, value in best.items()) for one in near]
    assert sum(kept) / len(kept) > 2
