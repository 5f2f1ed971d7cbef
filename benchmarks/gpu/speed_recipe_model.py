"""The recipe's model as people run it: one stub, Triton's dynamic batches of up to 32, each a blocking
``LLM.generate``.

The ``LLM`` lives in a process of its own (``speed_offline.py``), because the stub of this Triton wants numpy 1 and vLLM
numpy 2. A batch there and back is two messages: microseconds against the seconds that it takes.
"""

from __future__ import annotations

import json
from multiprocessing.connection import Client
from typing import Any

import numpy as np
import triton_python_backend_utils as pb


class TritonPythonModel:
    """Triton's entry point."""

    def initialize(self, args: dict[str, str]) -> None:
        """Learns where the ``LLM`` is."""
        self._address = json.loads(args["model_config"])["parameters"]["socket"]["string_value"]

    def execute(self, requests: list[Any]) -> list[Any]:
        """All requests of Triton's batch in one call."""
        read = lambda request, name: pb.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)  # noqa: E731
        order = {
            "kind": "batch",
            "prompts": [text.decode() for request in requests for text in read(request, "prompt")],
            "max_tokens": [int(value) for request in requests for value in read(request, "max_tokens")],
            "temperature": [float(value) for request in requests for value in read(request, "temperature")],
        }
        with Client(self._address, "AF_UNIX") as llm:
            llm.send(order)
            texts = iter(llm.recv())
        answers = []
        for request in requests:
            found = [next(texts).encode() for _ in read(request, "prompt")]
            tensor = pb.Tensor("generated_text", np.array(found, dtype=object).reshape(-1, 1))
            answers.append(pb.InferenceResponse([tensor]))
        return answers
