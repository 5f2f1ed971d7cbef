"""``trident serve --detach``: a supervisor in a session of its own, watched until it is ready."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from trident import errors
from trident.cli import ready, show, view
from trident.supervisor import cause, launch, run_directory, state

if TYPE_CHECKING:
    from trident.config.models import Config
    from trident.models.resolve import ResolvedModel
    from trident.supervisor.state import ErrorState, ServerState

POLL_S = 0.1


def serve_detached(config: Config, model: ResolvedModel | None, started: float) -> None:
    """Returns when the server is ready. Raises its error when it cannot start; Ctrl-C leaves it starting."""
    supervisor = start_supervisor(config, model)
    shown = view.make(started)
    try:
        now = _follow(config, supervisor, shown)
    except KeyboardInterrupt:
        shown.close()
        show.note(f"It goes on starting without you. Stop it: trident stop --name {config.name}")
        raise
    finally:
        shown.close()
    for line in ready.lines(now, config, time.time() - started, is_detached=True):
        show.line(line)


def start_supervisor(config: Config, model: ResolvedModel | None) -> subprocess.Popen[bytes]:
    """Its log is the supervisor's own; what it says before it has one goes into ``launch.log``."""
    try:
        spec = launch.save(config, model)
        words = spec.with_suffix(".log").open("wb")
    except OSError as error:
        raise run_directory.unusable(config.run_dir, error) from error
    with words:
        return subprocess.Popen(
            [sys.executable, "-m", "trident.supervisor", str(spec)],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _follow(config: Config, supervisor: subprocess.Popen[bytes], shown: view.View) -> ServerState:
    last: ServerState | None = None
    while True:
        has_ended = supervisor.poll() is not None
        now = state.load(config.run_dir)
        if now is not None and now.process.pid == supervisor.pid:
            if now != last:
                shown.update(now)
                last = now
            if now.phase == "ready":
                return now
        if has_ended:
            raise _ended(config, supervisor.returncode, last)
        shown.tick()
        time.sleep(POLL_S)


def _ended(config: Config, code: int, last: ServerState | None) -> errors.TridentError:
    if last is not None and last.error is not None:
        return revived(last.error)
    words = cause.read_tail(config.run_dir / "launch.log")
    return errors.EngineStartFailed(
        "The supervisor ended before the server was ready",
        words[-1].strip() if words else cause.from_exit(code),
        "look into its log",
        log_path=config.run_dir / "launch.log",
    )


def revived(error: ErrorState) -> errors.TridentError:
    """The error of another process as this one's."""
    from pathlib import Path

    kind = getattr(errors, error.kind, errors.TridentError)
    log_path = Path(error.log_path) if error.log_path else None
    revived: errors.TridentError = kind(error.what, error.why, error.next_step, log_path=log_path)
    return revived
