"""Which files of a repository are fetched: what vLLM loads, and nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TypeVar

from trident.models.folder import NO_WEIGHTS

TEXT_SUFFIXES = {".json", ".jinja", ".txt", ".model", ".tiktoken", ".py", ".yaml"}
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")  # the first that is there is taken
OTHER_RUNTIMES = {"onnx", "original", "openvino", "coreml", "tflite", "flax", "runs", "figures", "assets"}
NEVER = {"trainer_state.json", "training_args.bin"}


About = TypeVar("About")


def needed_files(files: Mapping[str, About]) -> dict[str, About]:
    """The part of a repository's files that serving needs, with what is said about each. Without weights the result
    holds none."""
    weights = _weights([name for name in files if "/" not in name])
    return {name: about for name, about in files.items() if name in weights or _is_text(PurePosixPath(name))}


def has_weights(names: Mapping[str, object]) -> bool:
    """Whether one of the files holds weights."""
    return any(PurePosixPath(name).suffix in WEIGHT_SUFFIXES for name in names)


def _is_text(path: PurePosixPath) -> bool:
    return (
        path.suffix in TEXT_SUFFIXES
        and path.name not in NEVER
        and not any(part in OTHER_RUNTIMES or part.startswith(".") for part in path.parts)
    )


def _weights(names: list[str]) -> set[str]:
    for suffix in WEIGHT_SUFFIXES:
        found = {name for name in names if name.endswith(suffix) and not NO_WEIGHTS.fullmatch(name)}
        # Mistral's repositories hold the same weights twice, once under its own names.
        if others := {name for name in found if not name.startswith("consolidated")}:
            return others
        if found:
            return found
    return set()
