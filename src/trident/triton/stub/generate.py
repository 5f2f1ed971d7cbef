"""The contract of Triton's own vLLM backend: ``text_input`` in, ``text_output`` out, decoupled."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from trident.triton.stub import backend, inputs
from trident.triton.stub.backend import FINAL, Request, Sender
from trident.triton.stub.inputs import BadInput
from trident.triton.stub.model import StubModel, refuse
from trident.triton.stub.stream import ClientGone

# Triton's /generate hands its own fields on as parameters too; they are no sampling parameters.
_TRITONS_OWN = {"id", "priority", "timeout", "sequence_id", "sequence_start", "sequence_end"}

ASK_AGAIN_S = 0.1
"""Asking whether a request is cancelled is a round trip to Triton, too dear for each response."""


class TritonPythonModel(StubModel):
    """Triton's entry point."""

    def handle(self, request: Request, sender: Sender) -> None:
        """See facts in docs/architecture.md; semantics are those of triton-inference-server/vllm_backend."""
        prompt = inputs.texts(request, "text_input")[0]
        stream = inputs.flag(request, "stream") or False
        exclude = inputs.flag(request, "exclude_input_in_output")
        if stream and exclude is False:
            raise BadInput("exclude_input_in_output = false is not possible with stream = true")
        sampling = _sampling(request)
        lora_name = sampling.pop("lora_name", None)
        if lora_name is not None and not isinstance(lora_name, str):
            raise BadInput(f"lora_name must be a string, got {lora_name!r}")
        answer: _Streamed | _Whole
        answer = _Streamed(sender) if stream else _Whole(sender, "" if exclude else prompt)
        self.engine.submit(
            answer,
            request_id=request.request_id() or uuid.uuid4().hex,
            prompt=prompt,
            prompt_token_ids=None,
            sampling=sampling,
            lora_name=lora_name,
            deadline_s=inputs.deadline_s(request),
        )


def _sampling(request: Request) -> dict[str, Any]:
    tensor = inputs.text(request, "sampling_parameters")
    if tensor is not None:
        return inputs.json_object("sampling_parameters", tensor)
    given = json.loads(request.parameters() or "{}")
    sampling = {
        name: value for name, value in given.items() if name not in _TRITONS_OWN and not name.startswith("triton_")
    }
    if isinstance(sampling.get("structured_outputs"), str):
        sampling["structured_outputs"] = inputs.json_object("structured_outputs", sampling["structured_outputs"])
    return sampling


class _Streamed:
    """A response for each piece of text; the last one carries Triton's FINAL flag."""

    wants_progress = True

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._asked_s = time.monotonic()

    def progress(self, texts: list[str]) -> None:
        """Raises ClientGone within ``ASK_AGAIN_S`` of a gRPC cancel or of a failed write to an HTTP stream."""
        now_s = time.monotonic()
        if now_s - self._asked_s > ASK_AGAIN_S:
            self._asked_s = now_s
            if self._sender.is_cancelled():
                raise ClientGone
        self._sender.send(backend.response({"text_output": texts}))

    def finish(self, texts: list[str], reasons: list[str]) -> None:  # noqa: ARG002 - the contract's default outputs
        self._sender.send(backend.response({"text_output": texts}), flags=FINAL)

    def fail(self, code: str, message: str) -> None:
        refuse(self._sender, code, message)


class _Whole:
    """One response with everything, after the prompt unless the client excludes it."""

    wants_progress = False

    def __init__(self, sender: Sender, prefix: str) -> None:
        self._sender = sender
        self._prefix = prefix

    def progress(self, texts: list[str]) -> None:
        """Never called: this answer does not want it."""

    def finish(self, texts: list[str], reasons: list[str]) -> None:  # noqa: ARG002
        whole = [self._prefix + text for text in texts]
        self._sender.send(backend.response({"text_output": whole}), flags=FINAL)

    def fail(self, code: str, message: str) -> None:
        refuse(self._sender, code, message)
