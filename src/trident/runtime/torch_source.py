"""Where CPU torch comes from, and for which interpreter.

No registry carries the CPU build under its plain name, and a place that does may have it for one Python only. So
each place is asked for exactly the pinned version for each interpreter, before anything is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trident.errors import EnvironmentBroken
from trident.runtime import uv_failure
from trident.runtime.pins import CPU_TORCH, ENGINE_PYTHONS
from trident.runtime.python_finder import Interpreter
from trident.runtime.uv import Outcome, Uv


@dataclass(frozen=True)
class TorchSource:
    """``description`` completes "torch comes from …"; ``options`` go to uv, with pip's extra indexes if ``extra``."""

    description: str
    options: tuple[str, ...]
    extra: bool


CONFIGURED = TorchSource("where your pip and uv are configured to look", (), extra=True)
PYTORCH = TorchSource("PyTorch's CPU index (uv --torch-backend cpu)", ("--torch-backend", "cpu"), extra=False)


def choose(uv: Uv, interpreters: Iterable[Interpreter]) -> tuple[TorchSource, Interpreter]:
    """The first place and interpreter that go together; places before interpreters. Raises ``EnvironmentBroken``."""
    known = list(interpreters)
    if not known:
        raise no_interpreter()
    failures: dict[str, Outcome] = {}
    for source in (CONFIGURED, PYTORCH):
        for interpreter in known:
            outcome = _ask(uv, source, interpreter)
            if outcome.ok:
                return source, interpreter
            failures[source.description] = outcome
            if uv_failure.is_network(outcome):
                break  # the next interpreter would wait for the same silence
    raise _nowhere(failures, known, uv.log_path)


def _ask(uv: Uv, source: TorchSource, interpreter: Interpreter) -> Outcome:
    request = uv.cwd / "torch.in"
    request.write_text(CPU_TORCH + "\n")
    try:
        return uv.run(
            ["pip", "compile", str(request), "--no-deps", "--no-header", "--python", str(interpreter.path),
             "--only-binary", ":all:", *source.options],
            extra=source.extra,
            variables={"UV_HTTP_RETRIES": "1"},
        )  # fmt: skip
    finally:
        request.unlink(missing_ok=True)


def no_interpreter() -> EnvironmentBroken:
    versions = ", ".join(sorted(ENGINE_PYTHONS))
    return EnvironmentBroken(
        "No Python for the engine environment was found.",
        f"vLLM needs one of Python {versions}, and uv could neither find nor download one",
        f"install one of them (for instance `apt-get install python{sorted(ENGINE_PYTHONS)[0]}`), then try again",
    )


def _nowhere(failures: dict[str, Outcome], known: list[Interpreter], log_path: Path) -> EnvironmentBroken:
    versions = ", ".join(interpreter.version for interpreter in known)
    first, last = failures[CONFIGURED.description], failures[PYTORCH.description]
    if uv_failure.is_network(first) and uv_failure.is_network(last):
        return uv_failure.explain(first, f"looking for {CPU_TORCH}", log_path)
    return EnvironmentBroken(
        f"No place was found that has {CPU_TORCH} for Python {versions}.",
        f"configured sources: {uv_failure.cause(first)}; PyTorch's CPU index: {uv_failure.cause(last)}",
        "let this machine reach PyTorch's index, or put that wheel in a folder and set PIP_FIND_LINKS to it",
        log_path=log_path,
    )
