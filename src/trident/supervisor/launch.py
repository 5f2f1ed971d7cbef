"""What a detached supervisor is told by the command that starts it: ``RUN_DIR/launch.json``."""

from __future__ import annotations

import json
from pathlib import Path

from trident.config.models import Config
from trident.models.resolve import ResolvedModel

FILE_NAME = "launch.json"


def save(config: Config, model: ResolvedModel | None) -> Path:
    """Writes the file, readable by this user alone, into the server's run directory."""
    config.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config.run_dir / FILE_NAME
    path.touch(mode=0o600)
    told = {
        "config": config.model_dump(mode="json"),
        "model": model and {"path": str(model.path), "name": model.name, "source": model.source},
    }
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> tuple[Config, ResolvedModel | None]:
    """What ``save`` wrote."""
    told = json.loads(path.read_text(encoding="utf-8"))
    model = told["model"]
    found = ResolvedModel(Path(model["path"]), model["name"], model["source"]) if model else None
    return Config.model_validate(told["config"]), found
