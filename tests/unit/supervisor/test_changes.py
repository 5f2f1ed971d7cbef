from __future__ import annotations

from typing import Any

import pytest

from trident.config.models import Config
from trident.errors import ConfigurationError
from trident.supervisor import changes


def config(**values: Any) -> Config:
    return Config.model_validate(values)


def test_equal_configurations_have_no_changes() -> None:
    assert changes.check(config(), config()) == []


def test_each_argument_is_a_change_of_its_own() -> None:
    before, after = config(engine={"a": 1, "b": 2}), config(engine={"b": 3}, model="other/model")
    found = changes.check(before, after)
    assert list(map(str, found)) == ["model: demo → other/model", "engine.a: 1 → not set", "engine.b: 2 → 3"]
    assert all(change.needs_engine for change in found)


def test_map_of_an_argument_is_one_value() -> None:
    before, after = config(engine={"hf_overrides": {"a": {"b": 1}}}), config(engine={"hf_overrides": {"a": {"b": 2}}})
    (found,) = changes.check(before, after)
    assert found.name == "engine.hf_overrides"


def test_time_of_a_drain_needs_no_other_engine() -> None:
    (found,) = changes.check(config(), config(supervision={"drain_s": 1}))
    assert (str(found), found.needs_engine) == ("supervision.drain_s: 10.0 → 1.0", False)


def test_what_cannot_be_changed_is_named_with_both_values() -> None:
    after = config(listen={"http_port": 1234}, stubs={"stubs": 7}, engine={"max_num_seqs": 2})
    with pytest.raises(ConfigurationError) as refused:
        changes.check(config(), after)
    assert refused.value.what == "A running server cannot change listen.http_port, stubs.stubs"
    assert refused.value.why == "listen.http_port: 8000 → 1234; stubs.stubs: not set → 7"


def test_key_is_not_shown() -> None:
    (found,) = changes.between(config(openai={"api_key": ["old"]}), config(openai={"api_key": ["new"]}))
    assert str(found) == "openai.api_key: another"


@pytest.mark.parametrize(
    "section",
    [
        {"openai": {"api_key": ["new"]}},
        {"security": {"gateway": True}},
        {"limits": {"max_body_bytes": 123456}},
        {"limits": {"max_connections": 77}},
    ],
)
def test_what_the_gateway_knows_is_fixed(section: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="cannot change"):
        changes.check(config(), config(**section))


def test_bounds_of_the_engine_host_come_with_another_one() -> None:
    after = config(admission={"max_queued_requests": 3}, limits={"max_prompt_bytes": 1234, "max_n": 2})
    assert all(change.needs_engine for change in changes.check(config(), after))


def test_engines_of_repositories_are_reloaded_by_triton(tmp_path: Any) -> None:
    alone = config(triton={"model_repository": [str(tmp_path)]})
    with pytest.raises(ConfigurationError) as refused:
        changes.check(alone, alone)
    assert "load and unload" in refused.value.next_step
