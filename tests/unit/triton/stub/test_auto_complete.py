from __future__ import annotations

from typing import Any

from trident.triton.stub import auto_complete
from trident.triton.stub.contract import GENERATE


class Configuration:
    """Triton's ModelConfig, as far as it is used."""

    def __init__(self, inputs: list[dict[str, Any]]) -> None:
        self.config: dict[str, Any] = {"input": inputs, "output": []}

    def as_dict(self) -> dict[str, Any]:
        return self.config

    def add_input(self, tensor: dict[str, Any]) -> None:
        self.config["input"].append(tensor)

    def add_output(self, tensor: dict[str, Any]) -> None:
        self.config["output"].append(tensor)

    def set_model_transaction_policy(self, policy: dict[str, bool]) -> None:
        self.config["model_transaction_policy"] = policy

    def set_max_batch_size(self, size: int) -> None:
        self.config["max_batch_size"] = size


def test_empty_configuration_becomes_the_whole_contract() -> None:
    done = auto_complete.complete(Configuration([])).as_dict()
    assert {"name": "text_input", "data_type": "TYPE_STRING", "dims": [1], "optional": True} in done["input"]
    assert {"name": "text_output", "data_type": "TYPE_STRING", "dims": [-1]} in done["output"]
    assert [tensor["name"] for tensor in done["input"]] == [tensor.name for tensor in GENERATE.inputs]
    assert [tensor["name"] for tensor in done["output"]] == [tensor.name for tensor in GENERATE.outputs]
    assert done["model_transaction_policy"] == {"decoupled": True} and done["max_batch_size"] == 0


def test_user_s_own_declarations_stay() -> None:
    own = {"name": "text_input", "data_type": "TYPE_STRING", "dims": [1]}
    done = auto_complete.complete(Configuration([own])).as_dict()
    assert [tensor for tensor in done["input"] if tensor["name"] == "text_input"] == [own]
    assert len(done["input"]) == len(GENERATE.inputs)
