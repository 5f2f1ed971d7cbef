"""After a failure: what the server said last, and the causes that its logs show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trident.doctor import diagnosis
from trident.doctor.diagnosis import Diagnosis
from trident.doctor.finding import Finding, fail, ok, warn
from trident.doctor.patient import Patient

LOGS = ("engine.log", "triton.log", "supervisor.log", "gateway.log", "metrics.log")


def logs_of(run_dir: Path) -> list[Path]:
    """The logs of the last run, engines of repositories included; the engine's first, as its words are causes where
    those of others are consequences."""
    found = [file for file in run_dir.glob("**/logs/*.log") if file.is_file()]
    return sorted(found, key=lambda file: (LOGS.index(file.name) if file.name in LOGS else 0, str(file)))


def failure(patient: Patient) -> Iterator[Finding]:
    """Nothing where no server of this name ever ran."""
    if patient.config is None or not patient.config.run_dir.is_dir():
        return
    server = patient.server
    works = patient.serves and server is not None and server.phase == "ready"
    said = f"{server.error.what}\n{server.error.why}" if server and server.error else ""
    causes = [*diagnosis.of_logs(logs_of(patient.config.run_dir)), *diagnosis.of_text(said, "state.json")]
    seen: set[str] = set()
    for cause in causes:
        if cause.signature.name not in seen and not (cause.signature.general and len(causes) > 1):
            seen.add(cause.signature.name)
            yield _finding(cause, works=works)
    if seen:
        return
    if server is not None and server.error is not None and not works:
        yield fail("failure.last", server.error.what, server.error.why, server.error.next_step)
    else:
        yield ok("failure.last", "no known cause of a failure stands in the logs of the last run")


def of_files(files: list[Path]) -> list[Finding]:
    """The same for any logs, those of another tritonserver or ``vllm serve`` too."""
    found = [_finding(cause, works=False) for cause in diagnosis.of_logs(files)]
    return found or [ok("failure.log", "no known cause of a failure stands in there")]


def _finding(cause: Diagnosis, *, works: bool) -> Finding:
    """A server that works has met it and got over it, so that it only warns."""
    say = warn if works else fail
    why = cause.why if cause.why != cause.what else cause.line
    return say(f"failure.{cause.signature.name}", cause.what, f"{why} ({cause.log})", cause.fix)
