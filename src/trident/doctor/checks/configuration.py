"""The configuration: can it be read, does vLLM take it, are its files there, are its ports free?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trident.config.engine_arguments import EngineArguments
from trident.doctor.finding import Finding, Repair, fail, ok, warn
from trident.doctor.patient import Patient
from trident.errors import TridentError
from trident.supervisor import ports as supervisor_ports
from trident.supervisor import run_directory


def settings(patient: Patient) -> Iterator[Finding]:
    """Flags, variables and ``trident.toml``, and vLLM's own arguments against the vLLM that is installed."""
    if patient.config is None:
        error = patient.config_error
        assert error is not None, "a configuration is there or the reason why not"
        yield fail("configuration.settings", error.what, error.why, error.next_step)
        return
    if patient.engine is not None:
        engine, openai = patient.config.engine, patient.config.openai
        try:
            EngineArguments.read(patient.engine.arguments_path).check({"engine": engine, "openai": openai})
        except TridentError as error:
            yield fail("configuration.settings", error.what, error.why, error.next_step)
            return
    yield ok("configuration.settings", f"server {patient.config.name}, model {patient.config.model}")


def key_files(patient: Patient) -> Iterator[Finding]:
    """API keys and TLS files: readable by this user, and secrets by nobody else."""
    if patient.config is None:
        return
    security = patient.config.security
    for file in filter(None, (security.api_key_file, security.tls_cert, security.tls_key)):
        if not os.access(file, os.R_OK):
            yield fail("configuration.files", f"{file} cannot be read", "it is not there or not yours", f"ls -l {file}")
        elif file != security.tls_cert and file.stat().st_mode & 0o077:
            yield warn(
                "configuration.files",
                f"{file} can be read by other users of this machine",
                "it holds a secret",
                f"chmod 600 {file}",
                Repair(f"chmod 600 {file}", lambda file=file: _close(file)),  # type: ignore[misc]
            )


def _close(file: Path) -> None:
    file.chmod(0o600)


def ports(patient: Patient) -> Iterator[Finding]:
    """Free, or held by this very server."""
    if patient.config is None:
        return
    if patient.serves:
        yield ok("configuration.ports", "held by the running server")
        return
    busy = 0
    for door, port in patient.config.ports.items():
        try:
            supervisor_ports.probe_one(patient.config.listen.host, port, door)
        except TridentError as error:
            busy += 1
            yield fail("configuration.ports", error.what, error.why, error.next_step)
    if not busy:
        yield ok("configuration.ports", f"{', '.join(map(str, patient.config.ports.values()))} are free")


def _refused(place: Path) -> tuple[str, str] | None:
    """Why the supervisor would refuse a folder that is there, and what helps."""
    elsewhere = "or set TRIDENT_STATE_DIR to a folder of yours"
    if place.is_symlink():
        return "it is a symbolic link, and what others could point elsewhere is not trusted", f"rm {place}, {elsewhere}"
    if not place.exists():
        return None
    if not place.is_dir():
        return "a file has its name, and it is no folder", f"rm {place}, {elsewhere}"
    if place.stat().st_uid != os.getuid():
        return f"it belongs to another user ({place.stat().st_uid})", f"sudo rm -r {place}, {elsewhere}"
    return None


def run_folder(patient: Patient) -> Iterator[Finding]:
    """Writable, and without processes that a killed supervisor has left."""
    if patient.config is None:
        return
    folder = patient.config.run_dir
    for place in (folder, patient.config.sockets_dir):
        if refused := _refused(place):
            yield fail("configuration.run_directory", f"{place} cannot be used", *refused)
            return
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        yield fail(
            "configuration.run_directory",
            f"{above} cannot be written",
            "logs, sockets and state of the server lie there",
            f"sudo chown -R {os.getuid()} {above}, or set TRIDENT_STATE_DIR to a folder of yours",
        )
        return
    known = patient.server
    left = [
        child.process.pid
        for child in (known.children if known and not patient.serves else [])
        if child.process is not None and child.process.is_running()
    ]
    if left:
        config = patient.config
        yield warn(
            "configuration.run_directory",
            f"{len(left)} processes of a killed server still run",
            f"processes {', '.join(map(str, left))}; they hold memory and ports",
            f"kill {' '.join(map(str, left))}; the next start does it too",
            Repair("end them", lambda: run_directory.RunDirectory(config).sweep()),
        )
        return
    yield ok("configuration.run_directory", str(folder))
