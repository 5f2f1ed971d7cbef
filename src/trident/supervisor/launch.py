"""What a detached supervisor is told by the command that starts it: ``RUN_DIR/launch.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trident.config.models import Config
from trident.models.resolve import ResolvedModel

FILE_NAME = "launch.json"


def save(config: Config, model: ResolvedModel | None) -> Path:
    """Writes the file, readable by this user alone, into the server's run directory."""
    config.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config.run_dir / FILE_NAME
    path.touch(mode=0o600)
    path.write_text(json.dumps(told(config, model), indent=2) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> tuple[Config, ResolvedModel | None]:
    """What ``save`` wrote."""
    return revived(json.loads(path.read_text(encoding="utf-8")))


def told(config: Config, model: ResolvedModel | None) -> dict[str, Any]:
    """Both as plain values."""
    return {"config": config.model_dump(mode="json"), "model": described(model) if model else None}


def described(model: ResolvedModel) -> dict[str, str]:
    """A model as plain values."""
    return {"name": model.name, "path": str(model.path), "source": model.source}


def revived(values: Mapping[str, Any]) -> tuple[Config, ResolvedModel | None]:
    """Of what ``told`` returned."""
    model = values["model"]
    found = ResolvedModel(Path(model["path"]), model["name"], model["source"]) if model else None
    return Config.model_validate(values["config"]), found
