"""Which checks there are, in the order in which they are told, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from trident.config import load, paths
from trident.doctor.checks import configuration, environments, failure, gpu, limits, machine, model, platform, request
from trident.doctor.finding import Finding, fail
from trident.doctor.patient import Patient
from trident.errors import ConfigurationError, EnvironmentBroken, TridentError

Check = Callable[[Patient], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    platform.operating_system,
    platform.interpreter,
    platform.triton,
    machine.cpu,
    machine.memory,
    machine.disk,
    machine.shm,
    limits.descriptors,
    limits.processes,
    limits.locked_memory,
    limits.overcommit,
    gpu.presence,
    gpu.driver,
    gpu.capability,
    gpu.count,
    gpu.memory,
    gpu.health,
    environments.control,
    environments.engine,
    configuration.settings,
    configuration.key_files,
    configuration.ports,
    configuration.run_folder,
    model.files,
    model.configuration,
    model.quantization,
    model.memory,
    failure.failure,
    request.request,
)

# What ``serve`` asks before it starts anything: milliseconds, and only what it would not find out by itself in words
# as clear (its own checks are those of the configuration, ports, model files and environments).
QUICK: tuple[Check, ...] = (
    machine.cpu,
    machine.shm,
    gpu.driver,
    gpu.capability,
    gpu.count,
    gpu.memory,
    model.quantization,
    model.memory,
)


def patient(
    file: Path | None = None, name: str | None = None, *, hashes: bool = False, model: str | None = None
) -> Patient:
    """The configured server; a configuration that cannot be read is a finding, not an error."""
    try:
        config = load({"name": name, "model": model}, file=file)
    except ConfigurationError as error:
        return Patient(paths.data_dir(), None, error, hashes=hashes)
    return Patient(paths.data_dir(), config, hashes=hashes)


def examine(subject: Patient, checks: Iterable[Check] = CHECKS) -> Iterator[Finding]:
    """Every finding as it is found. A check that cannot do its work is a finding too."""
    for check in checks:
        where = f"{check.__module__.rpartition('.')[2]}.{check.__name__}"
        try:
            yield from check(subject)
        except Exception as error:  # noqa: BLE001 - a doctor that dies of one check is of no use for the others
            yield fail(
                where,
                f"The check {where} could not be done",
                f"{type(error).__name__}: {error}",
                "trident doctor --debug",
            )


def refuse_what_cannot_work(subject: Patient) -> None:
    """For ``serve``: raises EnvironmentBroken for the first failed check of the quick ones."""
    for check in QUICK:
        try:
            findings = list(check(subject))
        except (TridentError, OSError, ValueError, RuntimeError):
            continue  # what cannot be looked at is no reason not to try
        for finding in findings:
            if finding.level == "fail":
                raise EnvironmentBroken(finding.text, finding.why, f"{finding.fix}; more: trident doctor")
