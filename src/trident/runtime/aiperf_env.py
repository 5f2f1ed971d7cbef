"""The environment of AIPerf, which ``trident bench --engine aiperf`` runs: made when first asked for, from pins.

Its pins contradict those of vLLM and ours in seven packages, so it can share no environment with either. As with the
engine environment, the folder counts once its stamp, written last, names the pins that ship with this Trident.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from trident.errors import EnvironmentBroken
from trident.runtime import checks, pins, python_finder, uv_failure
from trident.runtime.engine_install import one_at_a_time, signals_raise
from trident.runtime.progress import Phase, Progress, Report
from trident.runtime.uv import Meter, Uv, find_uv

STAMP_NAME = "trident.json"


def tools_dir(data_dir: Path) -> Path:
    return data_dir / "tools"


def installed(data_dir: Path) -> Path | None:
    """The Python of a complete environment, or None."""
    folder = _folder(data_dir)
    try:
        stamp = json.loads((folder / STAMP_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    python = folder / "bin" / "python"
    whole = isinstance(stamp, dict) and stamp.get("pins_sha256") == pins.digest(pins.AIPERF_FILE)
    return python if whole and python.exists() else None


def install(data_dir: Path, report: Report) -> Path:
    """Its Python; makes the environment where it is missing (838 MB). Interrupted or failed, it leaves nothing
    half-made. Raises EnvironmentBroken."""
    if found := installed(data_dir):
        return found
    checks.check_platform()
    tools = tools_dir(data_dir)
    for folder in (data_dir, tools, data_dir / "logs"):
        checks.check_writable(folder)
    log_path = data_dir / "logs" / "aiperf-setup.log"
    with one_at_a_time(tools / ".lock", report) as lock:
        if found := installed(data_dir):
            return found
        log_path.write_text(f"# {time.strftime('%Y-%m-%d %H:%M:%S')} AIPerf {pins.AIPERF_VERSION}\n")
        with signals_raise():
            _make(_folder(data_dir), Uv(find_uv(), tools, log_path, keep_open=lock), report)
    made = installed(data_dir)
    assert made, "an environment that was just stamped is complete"
    return made


def _folder(data_dir: Path) -> Path:
    return tools_dir(data_dir) / f"aiperf-{pins.AIPERF_VERSION}"


def _make(folder: Path, uv: Uv, report: Report) -> None:
    interpreter = next(python_finder.candidates(uv), None) or python_finder.download(uv)
    if interpreter is None:
        raise EnvironmentBroken(
            "No Python for AIPerf was found.",
            f"it needs one of {', '.join(sorted(pins.ENGINE_PYTHONS))}, and uv could neither find nor download one",
            "install one of them, then try again",
        )
    shutil.rmtree(folder, ignore_errors=True)  # one of other pins
    try:
        report(Progress("python", f"making {folder.name} with {interpreter.path}"))
        command = ["venv", "--no-project", "--no-python-downloads", "--python", str(interpreter.path), str(folder)]
        _run(uv, command, "python", "making the environment of AIPerf", report)
        report(Progress("packages", f"AIPerf {pins.AIPERF_VERSION} and what it needs"))
        command = ["pip", "install", "--python", str(folder / "bin" / "python"), "--no-deps", "--compile-bytecode",
                   "--only-binary", ":all:", "--require-hashes", "--requirements", str(pins.AIPERF_FILE)]  # fmt: skip
        _run(uv, command, "packages", "installing AIPerf", report)
        stamp = {"version": pins.AIPERF_VERSION, "pins_sha256": pins.digest(pins.AIPERF_FILE)}
        new = folder / f"{STAMP_NAME}.new"
        new.write_text(json.dumps(stamp))
        new.replace(folder / STAMP_NAME)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run(uv: Uv, command: list[str], phase: Phase, doing: str, report: Report) -> None:
    meter = Meter(phase)

    def show(line: str) -> None:
        if progress := meter.feed(line):
            report(progress)

    outcome = uv.run(command, show)
    if not outcome.ok:
        raise uv_failure.explain(outcome, doing, uv.log_path)
