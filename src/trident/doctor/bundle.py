"""The archive of ``trident doctor --bundle``: what somebody else needs to understand a failure, without secrets.

trident-doctor/report.json      the findings
               environment.json versions, machine, variables by name
               run/…            config.json, state.json, logs (their ends) of the last run
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trident.doctor.checks.failure import logs_of
from trident.doctor.finding import Finding
from trident.doctor.patient import Patient
from trident.doctor.redaction import Redactor

LOG_BYTES = 2 << 20
FOLDER = "trident-doctor"
FILES = ("config.json", "state.json", "repository/*/config.pbtxt")
# They hold the words of clients or secrets; not even redacted do they belong to somebody else.
NEVER = ("launch.json", "told.json")


def write(path: Path, patient: Patient, findings: Sequence[Finding], facts: dict[str, Any]) -> list[str]:
    """Writes the archive (tar, gzip), readable by this user alone; returns the names in it. Raises OSError."""
    redactor = Redactor(keys_of(patient))
    names: list[str] = []
    path.touch(mode=0o600)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in _contents(patient, findings, facts):
            data = redactor.text(content).encode()
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))
            names.append(name)
    return names


def keys_of(patient: Patient) -> list[str]:
    """The API keys of the configuration and of its file, as far as it can be read."""
    if patient.config is None:
        return []
    keys = list(patient.config.api_keys)
    if file := patient.config.security.api_key_file:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            keys += [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    return keys


def _contents(patient: Patient, findings: Sequence[Finding], facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "report.json", json.dumps([finding.as_json() for finding in findings], indent=2, ensure_ascii=False)
    yield "environment.json", json.dumps(facts, indent=2, ensure_ascii=False)
    if patient.config is None:
        return
    run_dir = patient.config.run_dir
    others = [file for pattern in FILES for file in run_dir.glob(pattern)]
    before = [file.with_suffix(".log.1") for file in logs_of(run_dir)]
    for file in (*others, *logs_of(run_dir), *filter(Path.is_file, before)):
        if file.name not in NEVER:
            yield f"run/{file.relative_to(run_dir)}", _end(file)


def _end(file: Path) -> str:
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(max(0, size - LOG_BYTES))
        data = opened.read()
    # A cut line may show half of a secret that its other half would have told.
    return (data.split(b"\n", 1)[-1] if size > LOG_BYTES else data).decode("utf-8", "replace")
