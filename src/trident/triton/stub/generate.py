"""The contract of Triton's own vLLM backend, for generation, chats and embeddings.

Decoupled it answers streams and whole requests; not decoupled, plain ``infer`` and whole requests only.
"""

from __future__ import annotations

import json
from typing import Any

from trident.protocol.tracing import HEADERS
from trident.triton.stub import inputs
from trident.triton.stub.answers import Streamed, Whole
from trident.triton.stub.backend import Request, Sender
from trident.triton.stub.contract import EMBEDDING_REQUEST, MESSAGES, RETURNS, TEXT_INPUT
from trident.triton.stub.inputs import BadInput, ContractsError
from trident.triton.stub.model import StubModel
from trident.triton.stub.outputs import Outputs

# Triton's /generate hands its own fields on as parameters too; they are no sampling parameters.
_TRITONS_OWN = {"id", "timeout", "sequence_id", "sequence_start", "sequence_end", *HEADERS}

LONGEST_CLIENT = 256

# Inputs of a chat beside its messages, and how each is written.
_CHAT_JSON: dict[str, type[dict[str, Any]] | type[list[Any]]] = {"chat_template_kwargs": dict, "tools": list}


class TritonPythonModel(StubModel):
    """Triton's entry point."""

    def handle(self, request: Request, sender: Sender, request_id: str) -> None:
        """Semantics are those of triton-inference-server/vllm_backend; docs/kserve.md lists the differences."""
        sampling = _sampling(request)
        priority = _priority(sampling.pop("priority", 0))
        client = _client(sampling.pop("user", None))
        self.engine.check(client, priority)
        stream = inputs.flag(request, "stream") or False
        if stream and not self.is_decoupled:
            raise BadInput(
                f"stream = true: the model {self.name!r} answers in one piece only; it has a sibling for streams"
            )
        asked = _asked(request, stream=stream)
        wanted = {name for name in RETURNS if inputs.flag(request, f"return_{name}")}
        lora_name = sampling.pop("lora_name", None)
        if lora_name is not None and not isinstance(lora_name, str):
            raise BadInput(f"lora_name must be a string, got {inputs.kind(lora_name)}")
        outputs = Outputs(wanted, is_chat="chat" in asked, prefix=_prefix(request, asked, stream=stream))
        answer = (Streamed if stream else Whole)(sender, request_id, outputs)
        self.engine.submit(
            answer,
            request_id=request_id,
            **{"prompt": None, "prompt_token_ids": None, **asked},
            sampling=sampling,
            lora_name=lora_name,
            priority=priority,
            client=client,
            trace=self.trace(request),
            deadline_s=inputs.deadline_s(request),
            logprobs="logprobs" in wanted or "cumulative_logprob" in wanted,
        )


def _asked(request: Request, *, stream: bool) -> dict[str, Any]:
    """The one thing that a request asks for: ``prompt`` with ``images``, ``chat`` or ``embed`` of ``Submit``."""
    present = [name for name in (TEXT_INPUT, MESSAGES, EMBEDDING_REQUEST) if inputs.has(request, name)]
    # Triton's OpenAI front-end sends a text_input beside its embedding_request, and the backend ignores it.
    if EMBEDDING_REQUEST in present:
        return {"embed": inputs.json_object(EMBEDDING_REQUEST, inputs.texts(request, EMBEDDING_REQUEST)[0])}
    if len(present) > 1:
        raise BadInput(f"inputs {present[0]!r} and {present[1]!r} are both there; expected one of them")
    if present == [MESSAGES]:
        return {"chat": _chat(request, stream=stream)}
    images = inputs.texts(request, "image") if inputs.has(request, "image") else []
    return {"prompt": inputs.texts(request, TEXT_INPUT)[0], "images": images}


def _chat(request: Request, *, stream: bool) -> dict[str, Any]:
    chat = {"stream": stream, MESSAGES: inputs.json_value(MESSAGES, inputs.texts(request, MESSAGES)[0], list)}
    for name, kind in _CHAT_JSON.items():
        if (text := inputs.text(request, name)) is not None:
            chat[name] = inputs.json_value(name, text, kind)
    if (choice := inputs.text(request, "tool_choice")) is not None:
        is_named = choice.lstrip().startswith("{")
        chat["tool_choice"] = inputs.json_object("tool_choice", choice) if is_named else choice
    return chat


def _prefix(request: Request, asked: dict[str, Any], *, stream: bool) -> str:
    """What stands before the text of an answer: the prompt, unless the client excludes it or streams."""
    exclude = inputs.flag(request, "exclude_input_in_output")
    if stream and exclude is False:
        raise ContractsError("When streaming, `exclude_input_in_output` = False is not allowed.")
    return "" if stream or exclude else asked.get("prompt") or ""


def _priority(value: Any) -> int:
    try:
        priority = int(value if isinstance(value, (int, str)) and not isinstance(value, bool) else "")
    except ValueError:
        raise BadInput(f"priority must be a whole number, got {json.dumps(value)[:80]}") from None
    if not -(2**31) <= priority < 2**31:
        raise BadInput(f"priority must be in -2**31 to 2**31 - 1, got {priority}")
    return priority


def _client(value: Any) -> str:
    """OpenAI's ``user``. A long one is shortened: it is kept while its requests wait."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise BadInput(f"user must be a string, got {inputs.kind(value)}")
    return str(value)[:LONGEST_CLIENT]


def _sampling(request: Request) -> dict[str, Any]:
    tensor = inputs.text(request, "sampling_parameters")
    if tensor is not None:
        # It takes the place of all request parameters.
        sampling = inputs.json_object("sampling_parameters", tensor)
    else:
        given = json.loads(request.parameters() or "{}")
        sampling = {
            name: value for name, value in given.items() if name not in _TRITONS_OWN and not name.startswith("triton_")
        }
    if isinstance(sampling.get("structured_outputs"), str):
        sampling["structured_outputs"] = inputs.json_object("structured_outputs", sampling["structured_outputs"])
    return sampling
