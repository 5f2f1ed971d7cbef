"""Which knobs a space has, and what cannot fit into memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trident.config.engine_arguments import EngineArguments
from trident.errors import ConfigurationError
from trident.tune import memory, space
from trident.tune.knobs import KNOBS, Knob
from trident.tune.memory import Model

ENGINE = {
    "max_num_seqs": {"type": "int | None", "default": None, "choices": None},
    "stream_interval": {"type": "int", "default": 1, "choices": None},
    "performance_mode": {
        "type": "Literal['balanced', 'throughput']", "default": "balanced", "choices": ["balanced", "throughput"],
    },
    "quantization": {"type": "str | None", "default": None, "choices": None},
}  # fmt: skip


@pytest.fixture
def arguments(tmp_path: Path) -> EngineArguments:
    path = tmp_path / "arguments.json"
    path.write_text(json.dumps({"engine": ENGINE, "openai": {}}))
    return EngineArguments.read(path)


def test_what_this_vllm_has_not_is_left_out_with_a_reason(arguments: EngineArguments) -> None:
    made = space.make(KNOBS, arguments, {}, build="cpu")
    assert set(made.knobs) == {"max_num_seqs", "stream_interval"}
    assert made.left_out["block_size"] == "this vLLM does not take it"
    assert made.left_out["performance_mode"] == "it does nothing on a cpu build"
    assert made.left_out["stubs"] == "the load does not go through it"
    assert {"stream_interval": 8} in made.presets


def test_values_outside_of_vllms_choices_are_left_out(arguments: EngineArguments) -> None:
    made = space.make(KNOBS, arguments, {}, build="cuda")
    assert made.knobs["performance_mode"] == ["throughput"]  # interactivity is not among its choices here


def test_numerics_are_let_in_only_when_asked_for(arguments: EngineArguments) -> None:
    assert "quantization" not in space.make(KNOBS, arguments, {}, build="cuda").knobs
    assert "quantization" in space.make(KNOBS, arguments, {}, build="cuda", allow_numerics=True).knobs


def test_what_the_user_has_set_is_put_back_first(arguments: EngineArguments) -> None:
    base = {"engine": {"max_num_seqs": 1}}
    made = space.make(KNOBS, arguments, base, build="cpu")
    assert made.knobs["max_num_seqs"][0] is None
    assert made.presets[0] == {"max_num_seqs": None}


def test_users_own_knob_replaces_the_priors_values(arguments: EngineArguments) -> None:
    made = space.make(KNOBS, arguments, {}, build="cpu", asked={"max_num_seqs": [3, 5]})
    assert made.knobs["max_num_seqs"] == [3, 5]


@pytest.mark.parametrize(("name", "value"), [("no_such", 1), ("max_num_seqs", "many")])
def test_users_own_knob_that_vllm_does_not_take_is_refused(arguments: EngineArguments, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError):
        space.make((), arguments, {}, build="cpu", asked={name: [value]})


def test_what_this_machine_lacks_is_left_out_with_its_reason(arguments: EngineArguments) -> None:
    made = space.make(
        KNOBS, arguments, {}, build="cpu", lacks=lambda name, _: "no room" if name == "max_num_seqs" else None
    )
    assert made.left_out["max_num_seqs"] == "no room" and "max_num_seqs" not in made.knobs


def test_knob_whose_program_is_missing_is_left_out(arguments: EngineArguments) -> None:
    knob = Knob("stream_interval", (2,), "why", needs="no-such-compiler")
    assert "no-such-compiler" in space.make([knob], arguments, {}, build="cpu").left_out["stream_interval"]


def test_numerics_are_known_to_the_space_also_where_the_user_asks(arguments: EngineArguments) -> None:
    made = space.make(KNOBS, arguments, {}, build="cpu", asked={"quantization": ["fp8"]})
    assert made.changes_numerics({"quantization": "fp8"})
    assert not made.changes_numerics({"stream_interval": 8})


def test_knobs_of_the_prior_differ() -> None:
    names = [knob.name for knob in KNOBS]
    assert len(names) == len(set(names))
    assert all(isinstance(knob, Knob) and knob.values and knob.why for knob in KNOBS)


SMALL = Model(
    weights_bytes=2**30,
    layers=28,
    kv_heads=8,
    head_size=128,
    hidden_size=1024,
    longest_tokens=40960,
    vocabulary=150_000,
)


def test_kv_cache_of_a_token_counts_keys_and_values_of_all_layers() -> None:
    assert SMALL.kv_bytes_per_token == 2 * 2 * 28 * 8 * 128


@pytest.mark.parametrize(
    ("engine", "memory_gib", "fits"),
    [
        ({}, 6, True),  # 1 GiB of weights, 40,960 tokens of 114,688 bytes: 4.4 GiB
        ({}, 5, False),
        ({"max_model_len": 4096}, 2, True),
        ({"max_model_len": 4096, "data_parallel_size": 2}, 2, False),
        ({"kv_cache_dtype": "fp8"}, 4, True),
        ({"dtype": "float32"}, 10, False),  # both twice as large
        ({"dtype": "float32"}, 11, True),
        ({"dtype": "float32", "max_model_len": 4096}, 3, True),
        ({"max_model_len": 4096, "max_num_batched_tokens": 10**6}, 8, False),
    ],
)
def test_what_cannot_fit_is_ruled_out(engine: dict[str, Any], memory_gib: int, fits: bool) -> None:
    why = memory.lacking(SMALL, engine, memory_gib * 2**30)
    assert (why is None) == fits
    assert fits or "needs at least" in (why or "")


def test_sizes_are_read_from_a_models_folder() -> None:
    demo = Path(memory.__file__).parents[1] / "models" / "demo"
    found = memory.read(demo)
    assert found.weights_bytes > 0 and found.layers > 0 and found.kv_bytes_per_token > 0


def test_model_without_a_readable_configuration_rules_out_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    assert memory.lacking(memory.read(tmp_path), {}, 2**20) is None
