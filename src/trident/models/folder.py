"""Is a folder a model that vLLM can load? Checked before anything is started, file by file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from trident.errors import ModelUnusable
from trident.models.weights import FETCH_AGAIN, check_weights_file, unreadable, unusable

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")  # in the order in which vLLM looks for them
NO_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|rng_state.*|adapter_model)\.\w+")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "vocab.txt", "*.tiktoken", "*.model")
SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")


def check_folder(folder: Path, *, needs_weights: bool = True) -> None:
    """Returns when the folder holds a configuration, whole weights and a tokenizer; else raises ModelUnusable. vLLM
    makes weights up where ``load_format`` is dummy, so that a shape can be measured without them."""
    try:
        names = {file.name for file in folder.iterdir()}
    except OSError as error:
        raise unreadable(folder, error) from error
    _check_configuration(folder, names)
    for file in _weights(folder, names) if needs_weights else ():
        check_weights_file(file)
    _check_tokenizer(folder)


def _check_configuration(folder: Path, names: set[str]) -> None:
    if "config.json" not in names:
        if "params.json" in names:  # Mistral's own format; vLLM reads it with config_format=mistral
            read_json(folder / "params.json")
            return
        if "adapter_config.json" in names:
            raise _problem(folder, "it holds a LoRA adapter, not a whole model", "serve the base model it was made for")
        raise _problem(folder, "config.json is missing", "give the folder that holds config.json, weights, tokenizer")
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or not config.get("architectures"):
        raise unusable(
            folder / "config.json",
            'it names no "architectures"',
            "take config.json from the model's own page; a pipeline or adapter folder cannot be served",
        )


def _weights(folder: Path, names: set[str]) -> list[Path]:
    """The weight files that will be loaded: those of the first format present, with every shard there."""
    for pattern in WEIGHTS:
        suffix = pattern[1:]
        found = sorted(name for name in names if name.endswith(suffix) and not NO_WEIGHTS.fullmatch(name))
        missing = sorted(_expected_shards(folder, names, found, suffix) - names)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise _problem(folder, f"a part of the weights is missing: {missing[0]}{more}", FETCH_AGAIN)
        if found:
            return [folder / name for name in found]
    raise _problem(
        folder, "no weights are there (*.safetensors, *.bin, *.gguf)", "fetch the whole model, weights included"
    )


def _expected_shards(folder: Path, names: set[str], found: list[str], suffix: str) -> set[str]:
    expected: set[str] = set()
    for index in sorted(name for name in names if name.endswith(f"{suffix}.index.json")):
        content = read_json(folder / index)
        try:
            expected |= {str(shard) for shard in content["weight_map"].values()}
        except (TypeError, KeyError, AttributeError) as error:
            raise unusable(folder / index, 'it holds no "weight_map"', FETCH_AGAIN) from error
    if suffix != ".safetensors" and not found:
        return set()  # an index of a format that is not there at all
    for name in found:
        if shard := SHARD.fullmatch(name):
            stem, count, end = shard["stem"], shard["count"], shard["suffix"]
            expected |= {f"{stem}-{number:05d}-of-{count}{end}" for number in range(1, int(count) + 1)}
    return expected


def _check_tokenizer(folder: Path) -> None:
    for pattern in TOKENIZERS:
        for file in folder.glob(pattern):
            if file.suffix == ".json":
                read_json(file)
            return
    raise _problem(
        folder,
        "no tokenizer is there (tokenizer.json or tokenizer.model)",
        "copy the tokenizer files from the model's own page into the folder",
    )


def read_json(file: Path) -> Any:
    """The content of a JSON file of a model; ModelUnusable when it is none."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise unreadable(file, error) from error
    except ValueError as error:
        raise unusable(file, f"it is not JSON ({error})", FETCH_AGAIN) from error


def _problem(folder: Path, why: str, next_step: str) -> ModelUnusable:
    return ModelUnusable(f"Cannot use the model in {folder}", why, next_step)
