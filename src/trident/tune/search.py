"""The outer loop, as a generator: it yields what to measure and is sent what came of it.

It looks at no clock and no file; time is what the records say they took. So the same records give the same search, and
``--resume`` is to send it those of the journal again.

    base            measured first, twice
    presets, search look (short, finds the load level) → where that is not clearly worse: measure → where that is better
                    by far: it is the best; where it may be better: pairs with the best, until an interval says better
                    or not. Each preset comes on top of what is best by then.
    gate            asked of the base, and of each candidate that changes the model's numbers before it is looked at
    simplify        each change of the best is taken back; what is not missed stays out
    held-out        base, best, best, base, with a seed that the search has not seen: the verdict
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from trident.tune import gate, noise, sampler
from trident.tune.noise import Interval
from trident.tune.plan import Plan
from trident.tune.records import Changes, Measured, Purpose, Record, Step
from trident.tune.space import Space, key

MOST_RUNS = 4
"""Pairs of a candidate and the best: what is not told apart by then is a tie."""
FAR_BETTER_SHARE = 0.05
"""A candidate whose interval begins above this needs no repeat to become the best so far; the held-out runs decide."""
FAR_WORSE = 2.0
"""Standard deviations of a single start that a candidate may be below the best without being given up."""
HELD_OUT_SEED = 7919
"""Added to the seed of the search."""
TIE_SHARE, MOST_LOST_SHARE = 0.02, 0.06
"""What a simpler configuration may have lost, as it was measured, and by the lower end of its interval."""
FAILS_GATE = "fails the quality gate"
LEAST_PAIRS, MOST_PAIRS, HELD_OUT_SHARE = 2, 5, 0.25
"""Of base and best on the held-out seed: as many as take this share of the budget."""
Steps = Generator[Step, Record, "Found"]
LacksRoom = Callable[[Changes], "str | None"]


@dataclass
class Candidate:
    """A configuration and what is known of it. ``look`` is the short one, whose scores decide nothing. ``rival`` is
    what ``against_best`` compares it with, by the ``differences`` of pairs. ``agreement`` is that of its answers with
    the base's, where it was asked for. ``start_s`` is its latest start, ``run_s`` its longest run."""

    changes: Changes
    purpose: Purpose
    look: Measured | None = None
    runs: list[Measured] = field(default_factory=list)
    failure: str | None = None
    against_best: Interval | None = None
    rival: Changes | None = None
    differences: list[float] = field(default_factory=list)
    agreement: float | None = None
    start_s: float = 0.0
    run_s: float = 0.0

    @property
    def score(self) -> float | None:
        """The mean of its runs, else of the look; None where it failed."""
        if self.runs:
            return sum(run.score for run in self.runs) / len(self.runs)
        return self.look.score if self.look else None


@dataclass
class Found:
    """The end, and on the way to it where the search stands. ``verdict`` is of the held-out runs; None where nothing
    was found that had to be confirmed, or the time was not there."""

    candidates: list[Candidate] = field(default_factory=list)
    best: Candidate | None = None
    simplified: list[Changes] = field(default_factory=list)
    held_out_base: list[Measured] = field(default_factory=list)
    held_out_best: list[Measured] = field(default_factory=list)
    held_out_differences: list[float] = field(default_factory=list)
    verdict: Interval | None = None
    spent_s: float = 0.0
    starts: int = 0

    @property
    def base(self) -> Candidate:
        """Trial 0."""
        return self.candidates[0]

    @property
    def is_better(self) -> bool:
        """The best is something else than the base, and the held-out runs say so."""
        return self.verdict is not None and self.verdict.is_better


class Search:
    """``found`` may be looked at while ``steps`` goes on. ``lacks_room`` says why a configuration cannot fit into the
    machine's memory: it costs no start."""

    def __init__(self, plan: Plan, space: Space, lacks_room: LacksRoom = lambda _: None) -> None:
        self.found = Found()
        self._plan, self._space, self._lacks_room = plan, space, lacks_room
        self._known: dict[str, Candidate] = {}
        self._answers: list[str] = []

    def steps(self) -> Steps:
        """Ends when the budget is spent or nothing is left to try."""
        found = self.found
        base = yield from self._look({}, "base")
        found.best = base
        if base.failure is None:
            yield from self._measure(base, "base")
            if self._plan.least_agreement is not None and self._space.numerics:
                self._answers = yield from self._ask(base)
            if self._has_time(1):
                yield from self._measure(base, "repeat", is_fresh=True)
        for preset in self._space.presets:
            if self._may_try():
                yield from self._try({**self._best.changes, **preset}, "preset")
        while self._may_try():
            tried = [sampler.Tried(one.changes, one.score) for one in found.candidates]
            seed = self._plan.seed + 1000 * len(found.candidates)
            changes = sampler.propose(self._space, tried, self._best.changes, seed=seed)
            if changes is None:
                break
            yield from self._try(changes, "search")
        yield from self._simplify()
        yield from self._hold_out()
        return found

    @property
    def _best(self) -> Candidate:
        assert self.found.best is not None
        return self.found.best

    @property
    def _pairs(self) -> int:
        fitting = int(HELD_OUT_SHARE * self._plan.budget_s / (2 * self._run_s)) if self._run_s else LEAST_PAIRS
        return min(MOST_PAIRS, max(LEAST_PAIRS, fitting))

    def _may_try(self) -> bool:
        """There is time for one more trial, a look and a run at least."""
        return len(self._known) < self._plan.most_trials and self._may_measure(2)

    def _may_measure(self, runs: int = 1) -> bool:
        """Simplifying and the held-out runs still have their time after so many."""
        kept = 2 * self._pairs + 1 + (3 if len(self._best.changes) > 1 else 0)
        return self._has_time(kept + runs)

    def _try(self, changes: Changes, purpose: Purpose) -> Generator[Step, Record, Candidate | None]:
        if key(changes) in self._known:
            return None
        candidate = yield from self._look(changes, purpose)
        if candidate.look is None:
            return candidate
        if self._best.look is None or self._best.failure is not None:
            yield from self._measure(candidate, purpose)
            if candidate.runs:
                self.found.best = candidate
            return candidate
        if not self._is_clearly_worse(candidate):
            yield from self._duel(candidate)
        return candidate

    def _is_clearly_worse(self, candidate: Candidate) -> bool:
        """By the looks of both, which were short in the same way."""
        assert candidate.look is not None and self._best.look is not None
        against = noise.compare([self._best.look], [candidate.look], self._starts())
        candidate.against_best, candidate.rival = against, self._best.changes
        return against.is_worse or (against.change < 0 and candidate.look.score <= 0)

    def _duel(self, candidate: Candidate) -> Generator[Step, Record, None]:
        """Measured, and where that does not tell, in pairs with the best until one is better or it is a tie."""
        best = self._best
        measured = yield from self._measure(candidate, candidate.purpose)
        if measured is None:
            return
        between = self._starts()
        alone = noise.compare(best.runs, candidate.runs, between)
        candidate.against_best, candidate.rival = alone, best.changes
        if alone.low > FAR_BETTER_SHARE:
            self.found.best = candidate  # the held-out runs decide
            return
        if alone.change < -FAR_WORSE * between.share:
            return
        while (against := (yield from self._pair(candidate, measured))) is not None and against.change > 0:
            measured = None
            may_repeat = len(candidate.differences) < MOST_RUNS and self._may_measure(2)
            is_clear = len(candidate.differences) > 1 or against.low > FAR_BETTER_SHARE
            if against.is_better and (is_clear or not may_repeat):
                self.found.best = candidate  # without a repeat only where time is short: the held-out runs decide
                return
            if not may_repeat:
                return

    def _pair(self, candidate: Candidate, latest: Measured | None = None) -> Generator[Step, Record, Interval | None]:
        """One more run of each, one right after the other and in turns first; ``latest`` is the candidate's where it
        was just made. None where either cannot be had."""
        best, order = self._best, [candidate, self._best]
        if candidate.rival != best.changes:
            candidate.differences, candidate.rival = [], best.changes
        found: dict[int, Measured] = {}
        for one in order[:: (-1) ** len(candidate.differences)]:
            is_made = one is candidate and latest is not None
            measured = latest if is_made else (yield from self._measure(one, "repeat", is_fresh=True))
            if measured is None:
                return None
            found[id(one)] = measured
        candidate.differences.append(noise.difference(found[id(best)], found[id(candidate)]))
        candidate.against_best = noise.compare_pairs(candidate.differences, scatter(self.found))
        return candidate.against_best

    def _simplify(self) -> Generator[Step, Record, None]:
        """Ties go to fewer changes. What seems to matter least is taken back first: time may be short."""
        for name in sorted(self._best.changes, key=self._gain):
            best = self._best
            simpler = {other: value for other, value in best.changes.items() if other != name}
            if not simpler or not self._has_time(2 * self._pairs + 3):
                continue
            candidate = self._known.get(key(simpler))
            if candidate is None:
                candidate = yield from self._look(simpler, "simplify")
            if candidate.look is None:
                continue
            latest = None if candidate.runs else (yield from self._measure(candidate, "simplify"))
            against = yield from self._pair(candidate, latest)
            if against is not None and -MOST_LOST_SHARE < against.low <= -TIE_SHARE < against.change:
                against = (yield from self._pair(candidate)) if self._has_time(2 * self._pairs + 3) else against
            if against is not None and against.change > -TIE_SHARE and against.low > -MOST_LOST_SHARE:
                self.found.simplified.append(simpler)
                self.found.best = candidate

    def _gain(self, name: str) -> float:
        """What the best's value of a knob seems to bring: means of the trials with it and without."""
        value = self._best.changes[name]
        scores: dict[bool, list[float]] = {True: [], False: []}
        for one in self.found.candidates:
            if one.score is not None:
                scores[name in one.changes and one.changes[name] == value].append(one.score)
        means = [sum(scores[has_it]) / max(1, len(scores[has_it])) for has_it in (True, False)]
        return means[0] - means[1]

    def _hold_out(self) -> Generator[Step, Record, None]:
        found = self.found
        found.best = self._most_promising()
        base, best = found.base, self._best
        if best is base or base.look is None:
            return
        yield from self._choose_base_level(base, best)
        order = [(base, found.held_out_base), (best, found.held_out_best)]
        for pair in range(self._pairs):
            both: list[Measured] = []
            for candidate, runs in order if pair % 2 == 0 else reversed(order):
                seed = self._plan.seed + HELD_OUT_SEED + pair
                measured = yield from self._run(candidate, "held-out", seed=seed, is_fresh=True)
                if measured is not None:
                    runs.append(measured)
                    both.append(measured)
            if len(both) == 2:
                found.held_out_differences.append(noise.difference(*(both if pair % 2 == 0 else reversed(both))))
        if found.held_out_differences:
            found.verdict = noise.compare_pairs(found.held_out_differences, scatter(found))

    def _choose_base_level(self, base: Candidate, best: Candidate) -> Generator[Step, Record, None]:
        """The best was taken from many, each at the level of its own look; the base had one look, which may have led to
        a poor level. Without this a lucky level passes for a better configuration."""
        assert base.look is not None and best.look is not None
        if best.look.level == base.look.level or not base.runs:
            return
        before = base.score or 0.0
        record = yield Step(
            purpose="repeat", changes=base.changes, level=best.look.level, seed=self._plan.seed, is_fresh=True
        )
        self._count(base, record)
        if record.best is not None and record.best.score > before:
            base.look = record.best

    def _most_promising(self) -> Candidate:
        """The best; where that is the base, what came out above it and was not told apart: the held-out runs may."""
        base = self.found.base
        if self._best is not base or not base.runs or not self._has_time(2 * self._pairs):
            return self._best
        above = [one for one in self.found.candidates if one.runs and (one.score or 0.0) > (base.score or 0.0)]
        return max(above, key=lambda one: one.score or 0.0, default=base)

    def _look(self, changes: Changes, purpose: Purpose) -> Generator[Step, Record, Candidate]:
        candidate = Candidate(changes, purpose)
        self._known[key(changes)] = candidate
        self.found.candidates.append(candidate)
        candidate.failure = self._lacks_room(changes)
        if candidate.failure is None:
            yield from self._pass_gate(candidate)
        if candidate.failure is not None:
            return candidate
        best = self.found.best.look if self.found.best else None
        first_level = best.level if best else self._plan.first_level
        record = yield Step(
            purpose=purpose, changes=changes, first_level=first_level, is_near=best is not None and best.score > 0,
            seed=self._plan.seed,
        )  # fmt: skip
        self._count(candidate, record)
        candidate.look, candidate.failure = record.best, record.failure
        return candidate

    def _pass_gate(self, candidate: Candidate) -> Generator[Step, Record, None]:
        """What answers otherwise than the base too often is a failure, however fast it may be."""
        least = self._plan.least_agreement
        if least is None or not self._space.changes_numerics(candidate.changes):
            return
        if not self._answers:
            candidate.failure = f"{FAILS_GATE}: the base has not answered its prompts"
            return
        answers = yield from self._ask(candidate)
        if candidate.failure is not None:
            return
        candidate.agreement = gate.agreement(self._answers, answers)
        if candidate.agreement < least:
            candidate.failure = (
                f"{FAILS_GATE}: {candidate.agreement:.0%} of {len(answers)} answers are as the base's, and {least:.0%} "
                "are wanted"
            )

    def _ask(self, candidate: Candidate) -> Generator[Step, Record, list[str]]:
        record = yield Step(purpose="gate", changes=candidate.changes)
        self._count(candidate, record)
        if candidate.changes:
            candidate.failure = record.failure
        return record.answers

    def _measure(
        self, candidate: Candidate, purpose: Purpose, *, is_fresh: bool = False
    ) -> Generator[Step, Record, Measured | None]:
        measured = yield from self._run(candidate, purpose, seed=self._plan.seed, is_fresh=is_fresh)
        if measured is not None:
            candidate.runs.append(measured)
        return measured

    def _run(
        self, candidate: Candidate, purpose: Purpose, *, seed: int, is_fresh: bool
    ) -> Generator[Step, Record, Measured | None]:
        assert candidate.look is not None
        record = yield Step(
            purpose=purpose, changes=candidate.changes, level=candidate.look.level, seed=seed, is_fresh=is_fresh
        )
        self._count(candidate, record)
        if record.failure is not None and not candidate.runs:
            candidate.failure = record.failure
        return record.best

    def _count(self, candidate: Candidate, record: Record) -> None:
        self.found.spent_s += record.took_s
        self.found.starts += record.start_s > 0 or record.failure is not None
        # The latest: the first one may have imported, compiled or downloaded what is there now.
        candidate.start_s = record.start_s or candidate.start_s
        if record.step.level is not None:
            candidate.run_s = max(candidate.run_s, record.took_s - record.start_s)

    def _has_time(self, runs: int) -> bool:
        return self._plan.budget_s - self.found.spent_s > runs * self._run_s

    @property
    def _run_s(self) -> float:
        """By the slower of base and best: those are what the end of a search is made of."""
        return max(one.start_s + one.run_s for one in (self.found.base, self._best))

    def _starts(self) -> noise.Starts:
        return starts(self.found)


def scatter(found: Found) -> noise.Starts:
    """How much differences of pairs scatter, by all pairs."""
    groups = [*(one.differences for one in found.candidates), found.held_out_differences]
    return noise.pairs(groups, starts(found))


def starts(found: Found) -> noise.Starts:
    """How much scores differ from start to start, by all that was measured more than once."""
    groups = [*(one.runs for one in found.candidates), found.held_out_base, found.held_out_best]
    return noise.starts([run.score for run in runs] for runs in groups)
