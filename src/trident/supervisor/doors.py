"""One real request through every front door. Run as a short-lived process, because the gRPC client is large:

    python -m trident.supervisor.doors        stdin: one Doors in JSON      stdout: one Answer in JSON for each door

It imports its clients first and then waits for its line, so it can be started early and be quick when asked.
"""

from __future__ import annotations

import http.client
import json
import queue
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import msgspec

from trident.supervisor import unix_http

# A cold engine of the CPU build dies of a prefill of 3 tokens (facts-engine §7), so the prompt has some length.
PROMPT = "Trident asks through each of its doors once before it calls itself ready: what is the capital of France?"
MAX_TOKENS = 4
_EMBEDDING = json.dumps({"input": PROMPT})


class Doors(msgspec.Struct, frozen=True, kw_only=True):
    """Where to knock, and what the models do there, in vLLM's words: MODEL (``tasks``, None without one) and the models
    of the user's repositories (``kept``). Doors of models that are ``unloaded`` are left alone. Behind a gateway the
    servers are asked themselves, at their unix sockets."""

    host: str
    http_port: int
    grpc_port: int
    openai_port: int
    generate_name: str
    recipe_name: str
    timeout_s: float
    tasks: tuple[str, ...] | None = ("generate",)
    kept: dict[str, tuple[str, ...]] = {}
    unloaded: tuple[str, ...] = ()
    http_socket: str | None = None
    grpc_socket: str | None = None
    openai_socket: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How it went at one door; ``why`` is empty when it went well."""

    name: str
    seconds: float
    why: str


class WrongAnswer(Exception):
    """The door answered, but not with what the model makes."""


def kserve_generate(doors: Doors) -> None:
    """Triton's generate extension, one answer."""
    body = _post(doors, doors.http_port, f"/v2/models/{doors.generate_name}/generate", _generation())
    _expect_text(json.loads(body).get("text_output"), body)


def kserve_generate_stream(doors: Doors) -> None:
    """Triton's generate extension, server-sent events."""
    body = _post(
        doors, doors.http_port, f"/v2/models/{doors.generate_name}/generate_stream", _generation() | {"stream": True}
    )
    events = [json.loads(line[len("data:") :]) for line in body.splitlines() if line.startswith("data:")]
    if error := next((event["error"] for event in events if "error" in event), None):
        raise WrongAnswer(error)
    _expect_text("".join(event.get("text_output", "") for event in events), body)


def kserve_infer(doors: Doors) -> None:
    """The recipe's contract through plain infer."""
    inputs = [
        {"name": "prompt", "datatype": "BYTES", "shape": [1], "data": [PROMPT]},
        {"name": "max_tokens", "datatype": "INT32", "shape": [1], "data": [MAX_TOKENS]},
        {"name": "temperature", "datatype": "FP32", "shape": [1], "data": [0.0]},
    ]
    body = _post(doors, doors.http_port, f"/v2/models/{doors.recipe_name}/infer", {"inputs": inputs})
    _expect_text(next(iter(json.loads(body)["outputs"][0]["data"]), None), body)


def openai_completions(doors: Doors) -> None:
    """The OpenAI server's completions, for whatever name it gives the model."""
    wanted = {"model": openai_models(doors), "prompt": PROMPT, "max_tokens": MAX_TOKENS, "temperature": 0}
    body = _post(doors, doors.openai_port, "/v1/completions", wanted)
    _expect_text(json.loads(body)["choices"][0].get("text"), body)


def kserve_grpc(doors: Doors) -> None:
    """ModelStreamInfer of the generate contract."""
    sampling = json.dumps({"max_tokens": MAX_TOKENS, "temperature": 0})
    text = _grpc_stream(doors, {"text_input": PROMPT, "sampling_parameters": sampling})
    _expect_text(text, text)


def openai_models(doors: Doors) -> str:
    """The name that the OpenAI server gives the model."""
    models = json.loads(_request(doors, doors.openai_port, "GET", "/v1/models", None))
    return str(models["data"][0]["id"])


def kserve_embedding(doors: Doors) -> None:
    """An embedding through Triton's generate extension."""
    wanted = {"embedding_request": _EMBEDDING}
    body = _post(doors, doors.http_port, f"/v2/models/{doors.generate_name}/generate", wanted)
    _expect_vector(json.loads(json.loads(body).get("text_output") or "null"), body)


def kserve_grpc_embedding(doors: Doors) -> None:
    """An embedding through ModelStreamInfer."""
    text = _grpc_stream(doors, {"embedding_request": _EMBEDDING})
    _expect_vector(json.loads(text or "null"), text)


def openai_embeddings(doors: Doors) -> None:
    """The OpenAI server's embeddings."""
    body = _post(doors, doors.openai_port, "/v1/embeddings", {"model": openai_models(doors), "input": PROMPT})
    _expect_vector(json.loads(body)["data"][0].get("embedding"), body)


Door = Callable[[Doors], object]
INFER = "KServe HTTP infer"
KEPT = ("KServe HTTP generate_stream", "KServe HTTP generate")
"""The first of them that such a model has is asked."""

GENERATION: dict[str, Door] = {
    "KServe HTTP generate": kserve_generate,
    "KServe HTTP generate_stream": kserve_generate_stream,
    INFER: kserve_infer,
    "KServe gRPC stream": kserve_grpc,
    "OpenAI completions": openai_completions,
}
EMBEDDING: dict[str, Door] = {
    "KServe HTTP generate": kserve_embedding,
    "KServe gRPC stream": kserve_grpc_embedding,
    "OpenAI embeddings": openai_embeddings,
}
OTHER: dict[str, Door] = {"OpenAI models": openai_models}
"""For models that classify or score, which KServe's contracts do not know."""


def doors_for(tasks: Sequence[str]) -> dict[str, Door]:
    """Those at which a model of these ``tasks`` (vLLM's names) answers."""
    if "generate" in tasks:
        return GENERATION
    return EMBEDDING if "embed" in tasks else OTHER


def asked_doors(doors: Doors) -> dict[str, Door]:
    """All of a server: MODEL's, and one of each model in repositories that KServe's contract can ask."""
    own = doors_for(doors.tasks) if doors.tasks is not None else {}
    asked = {name: door for name, door in own.items() if _model_of(name, doors) not in doors.unloaded}
    for model, tasks in doors.kept.items():
        name = next((name for name in KEPT if name in doors_for(tasks)), None)
        if name is not None and model not in doors.unloaded:
            asked[f"{name} of {model}"] = _at(model, doors_for(tasks)[name])
    return asked


def _model_of(name: str, doors: Doors) -> str | None:
    if not name.startswith("KServe"):
        return None
    return doors.recipe_name if name == INFER else doors.generate_name


def _at(model: str, door: Door) -> Door:
    return lambda doors: door(msgspec.structs.replace(doors, generate_name=model))


def knock(doors: Doors) -> Iterator[Answer]:
    """All doors at once; answers in the order in which they come."""
    asked = asked_doors(doors)
    pool = ThreadPoolExecutor(len(asked))
    try:
        for answer in as_completed([pool.submit(_timed, name, door, doors) for name, door in asked.items()]):
            yield answer.result()
    finally:
        pool.shutdown(wait=False)


def _timed(name: str, door: Door, doors: Doors) -> Answer:
    started, why = time.monotonic(), ""
    try:
        door(doors)
    except queue.Empty:
        why = f"no answer within {doors.timeout_s:g} s"
    except (WrongAnswer, OSError, ValueError, KeyError, IndexError, http.client.HTTPException) as error:
        why = str(error) or type(error).__name__
    except Exception as error:  # noqa: BLE001 - the clients' own errors have no common base; all are shown to the user
        why = f"{type(error).__name__}: {error}"
    return Answer(name=name, seconds=time.monotonic() - started, why=why)


def _grpc_stream(doors: Doors, inputs: dict[str, str]) -> str:
    """All text of one answer."""
    import numpy
    import tritonclient.grpc as grpc

    def bytes_input(name: str, text: str) -> Any:
        tensor = grpc.InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(numpy.array([text.encode()], dtype=object))
        return tensor

    answers: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    # gRPC would send even 127.0.0.1 through a proxy of the environment.
    no_proxy = [("grpc.enable_http_proxy", 0)]
    host = f"[{doors.host}]" if ":" in doors.host else doors.host
    where = f"unix:{doors.grpc_socket}" if doors.grpc_socket else f"{host}:{doors.grpc_port}"
    client = grpc.InferenceServerClient(where, channel_args=no_proxy)
    try:
        client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=doors.timeout_s)
        tensors = [bytes_input(name, text) for name, text in inputs.items()]
        client.async_stream_infer(doors.generate_name, tensors, enable_empty_final_response=True)
        text, is_final = "", False
        while not is_final:
            result, error = answers.get(timeout=doors.timeout_s)
            if error is not None:
                raise WrongAnswer(error.message() or str(error))
            parameters = result.get_response().parameters
            is_final = parameters["triton_final_response"].bool_param
            output = result.as_numpy("text_output")
            text += "" if output is None else b"".join(output.ravel()).decode("utf-8", "replace")
        return text
    finally:
        client.stop_stream(cancel_requests=True)
        client.close()


def _generation() -> dict[str, Any]:
    return {"text_input": PROMPT, "max_tokens": MAX_TOKENS, "temperature": 0}


def _post(doors: Doors, port: int, path: str, body: dict[str, Any]) -> str:
    return _request(doors, port, "POST", path, json.dumps(body))


def _request(doors: Doors, port: int, method: str, path: str, body: str | None) -> str:
    unix_socket = doors.openai_socket if port == doors.openai_port else doors.http_socket
    asked = unix_http.connection(doors.host, port, unix_socket, doors.timeout_s)
    try:
        asked.request(method, path, body, {"Content-Type": "application/json"})
        response = asked.getresponse()
        text = response.read().decode("utf-8", "replace")
    finally:
        asked.close()
    if response.status != 200:
        raise WrongAnswer(f"HTTP {response.status}: {text[:300]}")
    return text


def _expect_text(text: object, body: str) -> None:
    # Any text will do: what a model says to the question is its own affair, but a model that says nothing is broken.
    if not isinstance(text, str) or not text:
        raise WrongAnswer(f"no text came: {body[:300]!r}")


def _expect_vector(vector: object, body: str) -> None:
    if not isinstance(vector, list) or not vector:
        raise WrongAnswer(f"no embedding came: {body[:300]!r}")


def main() -> None:
    """Reads its line, knocks, writes the answers."""
    import numpy  # noqa: F401 - slow imports happen before the line is read
    import tritonclient.grpc  # noqa: F401

    line = sys.stdin.buffer.readline()
    if not line:
        return
    for answer in knock(msgspec.json.decode(line, type=Doors)):
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
