"""``trident status``: children, doors, model, versions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trident.cli import show

if TYPE_CHECKING:
    from trident.supervisor.state import ChildState, ServerState

NOT_READY_EXIT_CODE = 1
HEALTH = {"KServe HTTP": "/v2/health/ready", "OpenAI": "/health", "Prometheus": "/-/ready"}


def status(
    name: Annotated[str | None, typer.Option("--name", help="Name of the server.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Show what a server is doing. Exit code: 0 ready, 1 not ready, 4 not running."""
    import asyncio

    found = running(name)
    doors = asyncio.run(check_doors(found))
    if as_json:
        show.line(as_text(found, doors))
    else:
        for line in lines(found, doors, time.time()):
            show.line(line)
    if found.phase != "ready" or not all(doors.values()):
        raise typer.Exit(NOT_READY_EXIT_CODE)


def running(name: str | None) -> ServerState:
    """The state of a running server. Raises NotRunning, also for what a killed supervisor has left."""
    from trident.config import load, paths
    from trident.errors import NotRunning
    from trident.supervisor import state

    name = name or load().name
    found = state.load(paths.run_dir(name))
    if found is not None and found.is_running():
        return found
    why = "there is none of that name"
    if found is not None and found.error is not None:
        why = f"the last one failed: {found.error.what}: {found.error.why}"
    elif found is not None and found.phase == "stopped":
        why = f"it was stopped {show.duration(time.time() - found.since)} ago"
    elif found is not None:
        why = f"its supervisor (process {found.process.pid}) has died without a word"
    raise NotRunning(f"No server named {name} is running", why, f"start one: trident serve{named(name)}")


def named(name: str) -> str:
    """The flag that means this server, when it needs one."""
    return "" if name == "default" else f" --name {name}"


async def check_doors(found: ServerState) -> dict[str, bool]:
    """Whether somebody answers at each door, now."""
    import asyncio
    import ssl
    from urllib.parse import urlsplit

    from trident.supervisor.reach import accepts, http_status

    async def answers(door: str, url: str) -> bool:
        place = urlsplit(url if "://" in url else f"//{url}")
        host, port = place.hostname or "", place.port or 0
        if door == "KServe gRPC":
            return await accepts(host, port)
        # Whether somebody answers is the question, not who: the certificate is the user's own.
        tls = ssl._create_unverified_context() if place.scheme == "https" else None
        path = HEALTH.get(door.partition(" of ")[0], place.path or "/")
        code = await http_status(host, port, path, tls=tls)
        return code == 200 or (code == 401 and door in ("Triton metrics", "Monitor"))

    answered = await asyncio.gather(*(answers(door, url) for door, url in found.urls.items()))
    return dict(zip(found.urls, answered, strict=True))


def lines(found: ServerState, doors: dict[str, bool], now: float) -> list[str]:
    """The report for people."""
    note = f" ({found.note})" if found.note else ""
    model = f"{found.model['name']} ({found.model['path']})" if found.model else ", ".join(found.openai_doors) or "-"
    children = [["CHILD", "PID", "PHASE", "SINCE", "RESTARTS", "RSS"]]
    children.append(
        ["supervisor", str(found.process.pid), found.phase, _ago(now - found.since), "", _rss(found.process.pid)]
    )
    for child in found.children:
        pid = child.process.pid if child.process else None
        children.append(
            [child.name, str(pid or "-"), child.phase, _ago(now - child.since), str(child.restarts), _rss(pid)]
        )
        children += [
            [f"  {part}", str(process.pid), "", "", "", _rss(process.pid)] for part, process in child.parts.items()
        ]
    return [
        f"{found.name} is {found.phase}{note}, started {_ago(now - found.started)} ago",
        f"model     {model}",
        f"versions  {', '.join(f'{what} {version}' for what, version in found.versions.items())}",
        f"directory {found.run_dir}",
        "",
        *show.columns(children),
        *[f"{child.name}: {text}" for child in found.children if (text := troubles(child, now))],
        "",
        *show.columns(
            [
                ["DOOR", "URL", "NOW"],
                *([door, url, "answers" if doors[door] else "does not answer"] for door, url in found.urls.items()),
            ]
        ),
    ]


def troubles(child: ChildState, now: float) -> str:
    """What a child has been through, in one line; empty when nothing."""
    found = []
    if child.last_death:
        found.append(f"last {child.last_death}")
    if child.mended:
        found.append(f"{child.mended} of its processes died and were replaced")
    if child.crash_loop:
        found.append(f"{child.crash_loop} restarts after short lives lately")
    if child.next_start is not None:
        found.append(f"starts again in {max(0.0, child.next_start - now):.1f} s")
    return "; ".join(found)


def as_text(found: ServerState, doors: dict[str, bool]) -> str:
    """The report for programs: the state, with ``reachable`` for each door and ``rss_bytes`` for each pid."""
    import json

    import msgspec

    report: dict[str, Any] = json.loads(msgspec.json.encode(found))
    report["reachable"] = doors
    pids = [found.process.pid, *(child.process.pid for child in found.children if child.process)]
    pids += [process.pid for child in found.children for process in child.parts.values()]
    report["rss_bytes"] = {str(pid): rss_bytes(pid) for pid in pids}
    return json.dumps(report, indent=2, ensure_ascii=False)


def rss_bytes(pid: int) -> int | None:
    """None when the process is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def _rss(pid: int | None) -> str:
    size = rss_bytes(pid) if pid else None
    return f"{size / 2**20:.0f} MiB" if size is not None else "-"


def _ago(seconds: float) -> str:
    return show.duration(seconds)
