from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from trident.errors import ModelUnusable
from trident.models.folder import check_folder


@pytest.fixture
def folder(tmp_path: Path, model_files: dict[str, bytes]) -> Path:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(model_files[name])
    return tmp_path


def refused(folder: Path) -> ModelUnusable:
    with pytest.raises(ModelUnusable) as caught:
        check_folder(folder)
    assert len(caught.value.lines()) == 3
    assert str(folder) in caught.value.what
    return caught.value


def test_whole_folder(folder: Path) -> None:
    check_folder(folder)


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert refused(folder).why == "config.json is missing"


def test_config_of_mistral(folder: Path) -> None:
    (folder / "config.json").rename(folder / "params.json")
    check_folder(folder)


def test_lora_adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")
    assert "LoRA adapter" in refused(folder).why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "config.json: it is not JSON"),
        ("[]", 'config.json: it names no "architectures"'),
        ("{}", 'config.json: it names no "architectures"'),
        ("\xff", "config.json: it is not JSON"),
    ],
    ids=["cut", "list", "empty", "binary"],
)
def test_config_that_says_nothing(folder: Path, text: str, why: str) -> None:
    (folder / "config.json").write_text(text, encoding="latin-1")
    assert refused(folder).why.startswith(why)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "training_args.bin").write_bytes(b"x")
    assert "no weights are there" in refused(folder).why


def test_no_weights_where_they_are_made_up(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    check_folder(folder, needs_weights=False)
    (folder / "config.json").unlink()
    with pytest.raises(ModelUnusable, match="Cannot use the model"):
        check_folder(folder, needs_weights=False)


def test_weights_cut_short(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:1000])
    error = refused(folder)
    assert error.why == f"model.safetensors: it is cut short: {len(whole)} bytes expected, 1000 there"
    assert error.next_step == "fetch that file again"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b"abc", "cut short"),
        ((50).to_bytes(8, "little") + b"{", "cut short: 58 bytes expected, 9 there"),
        ((2).to_bytes(8, "little") + b"no", "header cannot be read"),
        ((9).to_bytes(8, "little") + b'{"w": [1]' + b"}", "header cannot be read"),
        ((2).to_bytes(8, "little") + b"[]", "header cannot be read"),
        ((2).to_bytes(8, "little") + b"{}more", "too long: 10 bytes expected, 14 there"),
        (b"<!DOCTYPE html><html>not found</html>", "header claims"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git-lfs pointer"),
    ],
    ids=["empty", "tiny", "cut-header", "no-json", "odd-json", "list", "long", "web-page", "lfs"],
)
def test_weights_that_are_none(folder: Path, content: bytes, why: str) -> None:
    (folder / "model.safetensors").write_bytes(content)
    assert why in refused(folder).why


def test_shard_of_index_missing(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert refused(folder).why == "a part of the weights is missing: model-00002-of-00002.safetensors"


def test_shard_missing_without_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00002-of-00003.safetensors")
    assert "model-00001-of-00003.safetensors and 1 more" in refused(folder).why


def test_index_of_a_format_that_is_not_there(folder: Path) -> None:
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": "pytorch_model.bin"}}))
    check_folder(folder)


def test_index_without_map(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("[]")
    assert 'no "weight_map"' in refused(folder).why


@pytest.mark.parametrize(("name", "content"), [("pytorch_model.bin", b"PK"), ("model.gguf", b"GGUF\x03")])
def test_other_weights(folder: Path, name: str, content: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    check_folder(folder)


def test_gguf_that_is_none(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.gguf").write_bytes(b"nope")
    assert "does not begin as a GGUF file" in refused(folder).why


def test_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer" in refused(folder).why


def test_tokenizer_broken(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model":')
    assert refused(folder).why.startswith("tokenizer.json: it is not JSON")


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("locked", ["model.safetensors", "config.json", "."])
def test_permission_denied(folder: Path, locked: str) -> None:
    error = _as_nobody(folder, folder / locked)
    if error == NO_OTHER_USER:
        pytest.skip("root of a user namespace without other users reads everything")
    assert "Permission denied" in error
    assert "chmod" in error


NO_OTHER_USER = "there is no other user"


def _as_nobody(folder: Path, locked: Path) -> str:
    """What check_folder says in a child process that may not read ``locked``, also when the tests run as root."""
    for above in (folder, *folder.parents):
        if above.stat().st_uid == os.getuid() and len(above.parts) > 2:
            above.chmod(0o755)
    locked.chmod(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            check_folder(folder)
        except ModelUnusable as error:
            os.write(writing, str(error).encode())
        except OSError:
            os.write(writing, NO_OTHER_USER.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    locked.chmod(0o755)
    return said
