"""What every installation that is broken on purpose has in common: its folders, its ports, and faults of its files.

Both tiers have one: a small made-up one (``tests/unit/doctor``) and a copy of a real one (``tests/e2e/doctor``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass
class Layout:
    """All is below ``root``; ``ports`` are those of the four doors. ``TABLES`` stand in every ``trident.toml``."""

    TABLES: ClassVar[str] = ""

    root: Path
    ports: list[int]

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def state_dir(self) -> Path:
        return self.root / "state"

    @property
    def run_dir(self) -> Path:
        return self.state_dir / "run" / "default"

    @property
    def model(self) -> Path:
        return self.root / "model"

    def configure(self, more: str = "") -> None:
        """Writes ``trident.toml``; ``more`` are tables that come after ``listen``."""
        doors = zip(("http", "grpc", "metrics", "openai"), self.ports, strict=True)
        listen = "".join(f"{door}_port = {port}\n" for door, port in doors)
        (self.root / "trident.toml").write_text(f'model = "{self.model}"\n{self.TABLES}[listen]\n{listen}{more}')


def keys_open_to_others(it: Layout) -> None:
    """A key file that everybody may read."""
    keys = it.root / "keys"
    keys.write_text("a-key-of-nobody\n")
    keys.chmod(0o644)
    it.configure(f'[security]\napi_key_file = "{keys}"\n')
