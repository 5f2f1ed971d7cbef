"""What a child of the supervisor is, before it is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trident.supervisor.health import Mender
from trident.supervisor.processes import Process
from trident.supervisor.state import EngineCounts


@dataclass(frozen=True)
class Command:
    """How a child is run and how its readiness is known.

    ``is_answering`` is asked until it says yes; without it the child reports on its status pipe. ``on_ready`` is told
    the pid then, and ``is_live`` asked from then on. ``find_parts`` names the child's own processes once it is ready;
    when one of them crashes, the child is useless and killed, unless ``mender`` can help. ``on_end`` clears what a
    killed child has left; ``counts`` says where an engine does. ``takes_orders``: those of ``protocol.orders``, from
    when it is ready. ``cpus`` are those that it may use; empty: all of the supervisor's.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log_path: Path
    is_answering: Callable[[], Awaitable[bool]] | None = None
    is_live: Callable[[], Awaitable[bool]] | None = None
    on_ready: Callable[[int], object] | None = None
    find_parts: Callable[[int], dict[str, Process]] | None = None
    mender: Mender | None = None
    on_end: Callable[[], None] | None = None
    counts: EngineCounts | None = None
    takes_orders: bool = False
    cpus: tuple[int, ...] = ()
