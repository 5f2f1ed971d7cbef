"""What a run of ``chaos.py`` proves: a table for each kill, the sums, the verdict."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from hazard_client import OUTCOMES, Attempt, without_ids
from hazard_kills import Kill

if TYPE_CHECKING:
    from chaos import Run

EXAMPLES = 20
SETTLES_S = 5.0
"""A request may learn of its process's death this much later than the server is ready again."""
TAKEN_OUT_S = 1.5
"""tritonserver looks once a second whether a model is taken from it, and gives a dead stub requests until then."""
ON_ITS_WAY_S = 1.0
"""What a stub had sent when it died reaches the client within this time."""


def result(run: Run) -> dict[str, Any]:
    """All of it, as JSON."""
    outcomes = collections.Counter(str(attempt.outcome) for attempt in run.attempts)
    explained: set[int] = set()
    rows = [
        {"at_s": _since(run, kill.at_s), **_row(kill, held, run.attempts, explained)}
        for kill, held in zip(run.kills, run.held, strict=True)
    ]
    bad = [attempt for attempt in run.attempts if attempt.outcome not in ("ok", "refused")]
    unexplained = [attempt for attempt in bad if id(attempt) not in explained]
    tokens = sum(attempt.heard.tokens or 0 for attempt in run.attempts if attempt.heard)
    longest_s = max((attempt.gap_s for attempt in run.attempts if attempt.outcome == "ok"), default=0.0)
    is_healed = all(kill.ready_s is not None and kill.noticed_s is not None for kill in run.kills)
    return {
        "quiet run": run.quiet,
        "load_s": run.load_s,
        "requests": len(run.attempts),
        "outcomes": {name: outcomes.get(name, 0) for name in OUTCOMES},
        "lost with the process that held them": len(bad) - len(unexplained),
        "unexplained": len(unexplained),
        "refusals that were sent again": sum(run.refusals.values()),
        "refusals": run.refusals,
        "tokens": tokens,
        "longest pause of a request that was ok, s": longest_s,
        "kills": rows,
        "kills later than due": run.waited_for_ready,
        "left in the engine": run.left_over,
        "why": dict(collections.Counter(f"{a.outcome}: {without_ids(a.message)}" for a in bad).most_common(20)),
        "examples": [
            {
                "request": a.request.name,
                "outcome": a.outcome,
                "why": a.message,
                "responses": a.responses,
                "begun, last heard, ended, s": [_since(run, at_s) for at_s in (a.begun_s, a.last_s, a.ended_s)],
            }
            for a in [*unexplained, *bad][:EXAMPLES]
        ],
        "is_healed": is_healed,
        "is_good": not unexplained and is_healed and bool(run.left_over) and not any(run.left_over.values()),
    }


def _row(kill: Kill, held: list[Attempt], attempts: list[Attempt], explained: set[int]) -> dict[str, Any]:
    """``explained`` takes the ids of attempts that were lost with a stub or tritonserver: it held them, or they came to
    it before it was known to be dead. A dead stub has sent nothing more, and its requests end late: nobody can tell
    them from requests that take long before these have ended."""
    healed_s = kill.at_s + (kill.ready_s if kill.ready_s is not None else float("inf")) + SETTLES_S
    noticed_s = kill.at_s + (kill.noticed_s if kill.noticed_s is not None else float("inf"))
    lost = [a for a in attempts if a.outcome not in ("ok", "refused") and kill.at_s <= a.ended_s <= healed_s]
    own = [a for a in held if _is_held(a, kill)]
    came_late = [a for a in lost if a.begun_s >= kill.at_s and a not in held and _comes_to_the_dead(a, kill, noticed_s)]
    explained |= {id(attempt) for attempt in lost if attempt.outcome == "lost" and attempt in own + came_late}
    late = [a for a in attempts if _ends_late(a, kill, held, noticed_s)]
    explained |= {id(attempt) for attempt in late}
    return {
        "kind": kill.kind,
        "noticed_s": kill.noticed_s,
        "ready_s": kill.ready_s,
        "in flight": len(held),
        "with tokens": sum(a.first_s is not None and a.first_s < kill.at_s for a in held),
        "held by it": len(own),
        "ended ok": sum(attempt.outcome == "ok" for attempt in held),
        "refused": sum(attempt.outcome == "refused" for attempt in held),
        "lost": sum(attempt in held for attempt in lost),
        "lost later": sum(attempt not in lost for attempt in late),
        "came before it was noticed, lost": len(came_late),
        "lost, not held by it": sum(attempt in held and attempt not in own for attempt in lost),
    }


def _comes_to_the_dead(attempt: Attempt, kill: Kill, noticed_s: float) -> bool:
    """Before anybody knew. The kernel takes connections for a tritonserver that is stopped, until that is killed."""
    if kill.model is None and attempt.last_s is None and kill.ready_s is not None:
        return _is_held(attempt, kill) and attempt.begun_s <= kill.at_s + kill.ready_s
    return _is_held(attempt, kill) and attempt.begun_s <= noticed_s


def _ends_late(attempt: Attempt, kill: Kill, held: list[Attempt], noticed_s: float) -> bool:
    """It was lost and had heard nothing more from what died, which held it, or was given it before it was taken out."""
    if attempt.outcome != "lost" or not _is_held(attempt, kill):
        return False
    if attempt in held:
        return (attempt.last_s or attempt.begun_s) <= kill.at_s + ON_ITS_WAY_S
    is_stub, is_unheard = kill.model is not None, attempt.last_s is None
    return is_stub and is_unheard and kill.at_s <= attempt.begun_s <= noticed_s + TAKEN_OUT_S


def _is_held(attempt: Attempt, kill: Kill) -> bool:
    return kill.takes_requests_along and kill.model in (None, attempt.request.model)


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [
        "",
        f"{'kill':28s} {'noticed':>8s} {'ready':>8s} {'in flight':>9s} {'with tokens':>11s} {'held':>5s} {'ok':>4s} "
        f"{'refused':>7s} {'lost':>5s} {'late':>5s} {'not held':>8s}",
    ]
    for row in result["kills"]:
        lines.append(
            f"{row['kind']:28s} {_s(row['noticed_s']):>8s} {_s(row['ready_s']):>8s} {row['in flight']:9d} "
            f"{row['with tokens']:11d} {row['held by it']:5d} {row['ended ok']:4d} {row['refused']:7d} "
            f"{row['lost']:5d} {row['came before it was noticed, lost']:5d} {row['lost, not held by it']:8d}"
        )
    outcomes = ", ".join(f"{count} {name}" for name, count in result["outcomes"].items())
    lines += [
        "",
        f"{result['requests']} requests in {result['load_s']:.0f} s: {outcomes}; {result['tokens']} tokens",
        f"lost with the stub or tritonserver that held them: {result['lost with the process that held them']}; "
        f"unexplained: {result['unexplained']}",
        f"refused and sent again: {result['refusals that were sent again']}; longest pause of a request that was ok: "
        f"{result['longest pause of a request that was ok, s']:.1f} s",
        f"left in the engine: {result['left in the engine']}; kills later than due: {result['kills later than due']}",
    ]
    lines += [f"  {count} x {why}" for why, count in result["why"].items()]
    lines += [f"  {one['outcome']}: {one['why'][:120]} ({one['request'][:90]})" for one in result["examples"][:5]]
    lines.append("GOOD" if result["is_good"] else "NOT GOOD")
    return "\n".join(lines)


def _since(run: Run, at_s: float | None) -> float | None:
    return None if at_s is None else round(at_s - run.begun_s, 2)


def _s(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f}"
