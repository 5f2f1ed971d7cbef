"""Which files of a repository are fetched: what vLLM loads, and nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from trident.models.folder import NO_WEIGHTS

TEXT_SUFFIXES = {".json", ".jinja", ".txt", ".model", ".tiktoken", ".py", ".yaml"}
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth")  # the first that is there is taken
OTHER_RUNTIMES = {"onnx", "original", "openvino", "coreml", "tflite", "flax", "runs", "figures", "assets"}
NEVER = {"trainer_state.json", "training_args.bin"}


def needed_files(sizes_bytes: Mapping[str, int]) -> dict[str, int]:
    """The part of a repository's files that serving needs, sizes kept. Without weights the result holds none."""
    weights = _weights([name for name in sizes_bytes if "/" not in name])
    return {name: size for name, size in sizes_bytes.items() if name in weights or _is_text(PurePosixPath(name))}


def has_weights(names: Mapping[str, int]) -> bool:
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
