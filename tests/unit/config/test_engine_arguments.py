from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trident.config import load
from trident.config.engine_arguments import EngineArguments, Given
from trident.config.old_arguments import REMOVED
from trident.errors import ConfigurationError, EnvironmentBroken


def entry(kind: str, default: Any = None, choices: list[Any] | None = None) -> dict[str, Any]:
    return {"type": kind, "default": default, "choices": choices, "help": ""}


# As vLLM 0.32.0 writes them.
DUMP = {
    "versions": {"vllm": "0.32.0", "torch": "2.13.0+cpu", "cuda": None},
    "engine": {
        "model": entry("str", "x"),
        "max_model_len": entry("int"),
        "max_num_seqs": entry("int | None"),
        "enforce_eager": entry("bool", False),
        "enable_prefix_caching": entry("bool | None"),
        "gpu_memory_utilization": entry("float", 0.9),
        "kv_offloading_size": entry("float | None"),
        "cpu_offload_gb": entry("float", 0),
        "dtype": entry("Literal['auto', 'half']", "auto", ["auto", "half"]),
        "revision": entry("str | None"),
        "block_size": entry("Literal[16, 32]", 16, [16, 32]),
        "compilation_config": entry("CompilationConfig"),
        "hf_overrides": entry("dict[str, Any]", {}),
        "middle": entry("list[str]", []),
    },
    "openai": {"chat_template": entry("str | None"), "port": entry("int", 8000)},
}


@pytest.fixture
def arguments(tmp_path: Path) -> EngineArguments:
    path = tmp_path / "arguments.json"
    path.write_text(json.dumps(DUMP))
    return EngineArguments.read(path)


@pytest.mark.parametrize(
    ("name", "text", "table", "value"),
    [
        ("max_model_len", "512", "engine", 512),
        ("max_model_len", "4k", "engine", 4000),
        ("max_model_len", "4K", "engine", 4096),
        ("max_model_len", "auto", "engine", -1),
        ("max_num_seqs", "null", "engine", None),
        ("enforce_eager", None, "engine", True),
        ("enforce_eager", "False", "engine", False),
        ("no_enforce_eager", None, "engine", False),
        ("gpu_memory_utilization", "1", "engine", 1),
        ("dtype", "half", "engine", "half"),
        ("block_size", "32", "engine", 32),
        ("revision", "123", "engine", "123"),
        ("hf_overrides", '{"a": 1}', "engine", {"a": 1}),
        ("middle", "one", "engine", ["one"]),
        ("middle", "12", "engine", ["12"]),
        ("middle", '["one", "2"]', "engine", ["one", "2"]),
        ("compilation_config", "3", "engine", 3),
        ("chat_template", "t.jinja", "openai", "t.jinja"),
    ],
)
def test_command_line_argument_gets_its_table_and_value(
    arguments: EngineArguments, name: str, text: str | None, table: Any, value: Any
) -> None:
    tables, words = arguments.sort([Given(name, text)])
    assert list(tables[table].values()) == [value]
    assert words == []


def test_dotted_arguments_make_a_map(arguments: EngineArguments) -> None:
    given = [Given("compilation_config.level", "3"), Given("compilation_config.pass_config.fuse", "true")]
    tables, _ = arguments.sort(given)
    assert tables["engine"] == {"compilation_config": {"level": 3, "pass_config": {"fuse": True}}}


def test_word_after_a_flag_is_given_back(arguments: EngineArguments) -> None:
    tables, words = arguments.sort([Given("enforce_eager", "demo")])
    assert tables["engine"] == {"enforce_eager": True}
    assert words == ["demo"]


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "max_model_length",
            "512",
            [
                "Unknown argument --max-model-length",
                "  why:  neither Trident nor this vLLM has it; did you mean --max-model-len?",
                "  next: see trident serve --help",
            ],
        ),
        (
            "swap_space",
            "4",
            [
                "--swap-space is no argument of this vLLM any more",
                "  why:  it was GiB of the machine's memory for the KV cache of preempted requests; since V1 vLLM "
                "computes that anew",
                "  next: --kv-offloading-size GIB keeps KV cache beside the GPU's memory; on a CPU leave it out",
            ],
        ),
        (
            "port",
            "1",
            [
                "--port cannot be set",
                "  why:  Trident's ports are set by --http-port, --grpc-port, --metrics-port and --openai-port",
                "  next: leave it out",
            ],
        ),
        (
            "max_model_len",
            "long",
            [
                "Bad value for --max-model-len",
                "  why:  it should be a whole number (got 'long')",
                "  next: change it, or leave it out",
            ],
        ),
        (
            "dtype",
            "int4",
            [
                "Bad value for --dtype",
                "  why:  it should be one of auto, half (got 'int4')",
                "  next: change it, or leave it out",
            ],
        ),
        (
            "max_num_seqs",
            None,
            ["--max-num-seqs has no value", "  why:  it needs one", "  next: write --max-num-seqs VALUE"],
        ),
    ],
)
def test_wrong_argument_is_explained(arguments: EngineArguments, name: str, text: str | None, lines: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        arguments.sort([Given(name, text)])
    assert caught.value.lines() == lines


@pytest.mark.parametrize("old", REMOVED)
def test_argument_of_an_older_vllm_is_explained(arguments: EngineArguments, old: str) -> None:
    with pytest.raises(ConfigurationError, match=f"engine.{old} is no argument of this vLLM any more") as caught:
        arguments.check({"engine": {old: 1}})
    assert (caught.value.why, caught.value.next_step) == REMOVED[old]


@pytest.mark.parametrize("name", ["kv_offloading_size", "cpu_offload_gb"])
def test_argument_for_gpus_is_refused_by_the_cpu_build(arguments: EngineArguments, name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"engine.{name} says nothing to vLLM's CPU build"):
        arguments.check({"engine": {name: 4}})
    assert arguments.check({"engine": {name: 0}}) == {"engine": {name: 0}}
    dump = tmp_path / "cuda.json"
    dump.write_text(json.dumps({**DUMP, "versions": {"vllm": "0.32.0", "torch": "2.13.0", "cuda": "13.0"}}))
    assert EngineArguments.read(dump).check({"engine": {name: 4}}) == {"engine": {name: 4}}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"max_model_len": True}, "whole number"),
        ({"max_model_len": 5.5}, "whole number"),
        ({"gpu_memory_utilization": "much"}, "a number"),
        ({"gpu_memory_utilization": True}, "a number"),
        ({"enforce_eager": "yes"}, "true or false"),
        ({"revision": 5}, "a text"),
        ({"hf_overrides": "text"}, "a map"),
        ({"chat_template": "t"}, "belongs into the other table"),
        ({"model": "m"}, "trident serve MODEL"),
    ],
)
def test_wrong_value_in_the_file_is_refused(arguments: EngineArguments, table: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        arguments.check({"engine": table})


def test_damaged_list_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "arguments.json"
    for text in ("{", "[]", '{"engine": 1}'):
        path.write_text(text)
        with pytest.raises(EnvironmentBroken, match="The engine environment is damaged"):
            EngineArguments.read(path)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("REVISION", "12", "12"),
        ("MIDDLE", "12", ["12"]),
        ("MAX_MODEL_LEN", "4k", 4000),
        ("ENFORCE_EAGER", "true", True),
    ],
)
def test_variable_means_what_its_argument_takes(
    arguments: EngineArguments, name: str, text: str, value: object
) -> None:
    config = load(environ={f"TRIDENT_ENGINE__{name}": text})
    assert arguments.check({"engine": config.engine})["engine"] == {name.lower(): value}


def test_list_of_texts_takes_nothing_else(arguments: EngineArguments) -> None:
    with pytest.raises(ConfigurationError, match="a text or a list of texts"):
        arguments.check({"engine": {"middle": [12]}})
