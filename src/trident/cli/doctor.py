"""``trident doctor``: what is wrong here, and what helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trident.cli import show

if TYPE_CHECKING:
    from trident.doctor.finding import Finding

FAILED_EXIT_CODE = 1
MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def doctor(
    model: Annotated[str | None, typer.Argument(help="A model to examine instead of the configured one.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Configuration file. (default trident.toml)")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the server.")] = None,
    log: Annotated[
        list[Path] | None, typer.Option("--log", help="Only read this log, of any tritonserver or vLLM; repeatable.")
    ] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Do what is safe to do, then look again.")] = False,
    hashes: Annotated[bool, typer.Option("--hashes", help="Read every installed file, not only its size.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not ok.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    bundle: Annotated[Path | None, typer.Option("--bundle", help="Write an archive to share, without secrets.")] = None,
) -> None:
    """Examine machine, installation, model and server. Exit code: 0 nothing fails, 1 something does."""
    from trident.doctor.finding import worst

    findings = _examined(model, config, name, log, fix=fix, hashes=hashes, quiet=quiet, as_json=as_json, bundle=bundle)
    if as_json:
        report = {"verdict": worst(findings), "findings": [finding.as_json() for finding in findings]}
        show.line(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        show.line(_verdict(findings))
    if worst(findings) == "fail":
        raise typer.Exit(FAILED_EXIT_CODE)


def _examined(
    model: str | None,
    config: Path | None,
    name: str | None,
    logs: list[Path] | None,
    *,
    fix: bool,
    hashes: bool,
    quiet: bool,
    as_json: bool,
    bundle: Path | None,
) -> list[Finding]:
    from trident.doctor import examination
    from trident.doctor.checks import failure

    def told(finding: Finding) -> Finding:
        if not as_json and not (quiet and finding.level == "ok"):
            for text in lines(finding):
                show.line(text)
        return finding

    if logs:
        return [told(finding) for finding in failure.of_files(_readable(logs))]
    subject = examination.patient(config, name, hashes=hashes, model=model)
    findings = [told(finding) for finding in examination.examine(subject)]
    if fix and _fixed(findings):
        show.note("looking again")
        subject = examination.patient(config, name, hashes=hashes, model=model)
        findings = [told(finding) for finding in examination.examine(subject)]
    if bundle is not None:
        _bundle(bundle, subject, findings)
    return findings


def lines(finding: Finding) -> list[str]:
    """A finding for people: one line, and two more where there is something to do."""
    head = f"{MARKS[finding.level]}  {finding.check:<27} {finding.text}"
    if finding.level == "ok":
        return [head]
    safe = "  (--fix does it)" if finding.repair else ""
    return [head, f"        why:  {finding.why}", f"        next: {finding.fix}{safe}"]


def _verdict(findings: list[Finding]) -> str:
    counts = {level: sum(finding.level == level for finding in findings) for level in MARKS}
    if not counts["warn"] + counts["fail"]:
        return f"all ok ({counts['ok']} checks)"
    return f"{counts['fail']} fail, {counts['warn']} warn, {counts['ok']} ok"


def _fixed(findings: list[Finding]) -> bool:
    from trident.errors import TridentError

    repairs = [finding.repair for finding in findings if finding.repair]
    for repair in repairs:
        try:
            repair.act()
            show.note(f"done: {repair.what}")
        except (OSError, TridentError) as error:
            show.note(f"not done: {repair.what}: {error}")
    return bool(repairs)


def _readable(logs: list[Path]) -> list[Path]:
    from trident.errors import ConfigurationError

    for file in logs:
        if not file.is_file():
            raise ConfigurationError(f"Cannot read {file}", "there is no such file", "give the path of a log")
    return logs


def _bundle(path: Path, subject: object, findings: list[Finding]) -> None:
    from trident.doctor import bundle
    from trident.doctor.facts import facts
    from trident.doctor.patient import Patient
    from trident.errors import ConfigurationError

    assert isinstance(subject, Patient)
    try:
        names = bundle.write(path, subject, findings, facts(subject))
    except OSError as error:
        raise ConfigurationError(f"Cannot write {path}", str(error), "give a path that can be written") from error
    show.note(f"{path}: {len(names)} files; keys, tokens and your home folder are taken out. Look before you share it.")
