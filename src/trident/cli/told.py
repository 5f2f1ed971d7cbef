"""What ``trident serve`` was told, kept for ``trident reload``: ``RUN_DIR/told.json``, readable by this user alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trident.config.engine_arguments import Given
from trident.config.load import FILE_NAME as CONFIGURATION
from trident.config.load import NOT_SETTINGS, PREFIX

FILE_NAME = "told.json"


@dataclass(frozen=True)
class Told:
    """Flags by setting, MODEL among them, vLLM's own arguments, the configuration's file and variables that set
    something."""

    flags: Mapping[str, Any] = field(default_factory=dict)
    given: Sequence[Given] = ()
    file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def now(cls, flags: Mapping[str, Any], given: Sequence[Given], file: Path | None) -> Told:
        """By this command line, in this folder, with this environment."""
        named = file or Path(os.environ.get("TRIDENT_CONFIG") or CONFIGURATION)
        environ = {
            name: value for name, value in os.environ.items() if name.startswith(PREFIX) and name not in NOT_SETTINGS
        }
        return cls(flags, given, named.absolute() if named.exists() else None, environ)

    @classmethod
    def load(cls, run_dir: Path) -> Told:
        """What ``save`` wrote; nothing where there is no such file."""
        try:
            told = json.loads((run_dir / FILE_NAME).read_bytes())
        except (FileNotFoundError, ValueError):
            return cls()
        given = [Given(name, text) for name, text in told["given"]]
        return cls(told["flags"], given, Path(told["file"]) if told["file"] else None, told["environ"])

    def save(self, run_dir: Path) -> None:
        """Raises OSError."""
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = run_dir / FILE_NAME
        path.touch(mode=0o600)
        told = {
            "flags": dict(self.flags),
            "given": [[one.name, one.text] for one in self.given],
            "file": os.fspath(self.file) if self.file else None,
            "environ": dict(self.environ),
        }
        path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    def with_later(self, later: Told) -> Told:
        """Both; what was told later counts where both say something."""
        flags = {**self.flags, **{name: value for name, value in later.flags.items() if value is not None}}
        environ = {**self.environ, **later.environ}
        return Told(flags, [*self.given, *later.given], later.file or self.file, environ)
