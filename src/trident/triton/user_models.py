"""The models in the user's repositories, by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from trident.config.models import Config
from trident.errors import ConfigurationError


def find(config: Config) -> dict[str, Path]:
    """Every folder in the configured repositories, as Triton sees them. Raises ConfigurationError for a repository that
    is none, for a name that is there twice, and for a name that is to be loaded and is not there."""
    models: dict[str, Path] = {}
    for repository in map(Path, config.triton.model_repository):
        for folder in _folders(repository):
            if folder.name in config.own_models:
                raise ConfigurationError(
                    f"The model name {folder.name} is there twice",
                    f"{folder} has it, and so has a model that stands for {config.model}",
                    f"choose another for ours: --{_setting(config, folder.name)} NAME",
                )
            if folder.name in models:
                raise ConfigurationError(
                    f"The model name {folder.name} is there twice",
                    f"{models[folder.name]} and {folder} both have it",
                    "rename one of them",
                )
            models[folder.name] = folder
    for name in config.triton.load_model:
        if name not in models and name not in config.own_models:
            close = difflib.get_close_matches(name, models, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigurationError(
                f"There is no model {name} to load", f"no repository has it{hint}", "correct --load-model"
            )
    return models


def _folders(repository: Path) -> list[Path]:
    try:
        found = sorted(folder for folder in repository.iterdir() if folder.is_dir() and folder.name[0] != ".")
    except OSError as error:
        raise ConfigurationError(
            f"Cannot read the repository {repository}", error.strerror or str(error), "correct --model-repository"
        ) from error
    if not found:
        raise ConfigurationError(
            f"The repository {repository} holds no model", "it has no folder in it", "correct --model-repository"
        )
    if (repository / "config.pbtxt").is_file():
        raise ConfigurationError(
            f"{repository} is a model, not a repository",
            "it holds a config.pbtxt itself",
            f"give the folder above: --model-repository {repository.parent}",
        )
    return found


def _setting(config: Config, name: str) -> str:
    settings = ("generate_name", "infer_name", "recipe_name")
    setting = next(setting for setting in settings if getattr(config.contracts, setting) == name)
    return setting.replace("_", "-")
