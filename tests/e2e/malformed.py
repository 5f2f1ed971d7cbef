"""Malformed requests, made from a seed: what ``test_malformed`` sends."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tritonclient.grpc import service_pb2 as kserve

GENERATE, INFER, RECIPE = "generate", "generate_infer", "qwen3_vllm"
PROMPT = {GENERATE: "text_input", INFER: "text_input", RECIPE: "prompt"}
SAMPLING = [
    "n",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "temperature",
    "watermarking",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "stop_token_ids",
    "ignore_eos",
    "max_tokens",
    "min_tokens",
    "logprobs",
    "prompt_logprobs",
    "prompt_logprob_token_ids",
    "prompt_logprob_start",
    "logprob_token_ids",
    "flat_logprobs",
    "detokenize",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "include_stop_str_in_output",
    "output_kind",
    "stream_interval",
    "skip_clone",
    "output_text_buffer_length",
    "_eos_token_id",
    "_all_stop_token_ids",
    "structured_outputs",
    "logit_bias",
    "allowed_token_ids",
    "extra_args",
    "bad_words",
    "_bad_words_token_ids",
    "skip_reading_prefix_cache",
    "thinking_token_budget",
    "repetition_detection",
    "routed_experts_prompt_start",
    "trace_decode_token_ids",
    "lora_name",
    "best_of",
    "guided_json",
    "response_format",
    "messages",
    "prompt",
]
DATATYPES = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "BF16",
    "FP32",
    "FP64",
    "BYTES",
    "STRING",
    "bytes",
    "X",
]
FEW_TOKENS = 4


@dataclass(frozen=True)
class Case:
    """One request. ``body`` goes over HTTP to ``path``, or over gRPC to the method of that name."""

    number: int
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_grpc(self) -> bool:
        return not self.path.startswith("/")

    def __str__(self) -> str:
        shown = self.body if len(self.body) < 2000 else self.body[:1500] + b" ... " + self.body[-400:]
        return f"case {self.number}: {self.path} {self.headers} {len(self.body)} bytes {shown!r}"


def cases(seed: int, count: int) -> list[Case]:
    """The same list for the same seed; a case depends on its number alone."""
    return [_case(random.Random(f"{seed}/{number}"), number) for number in range(count)]


def _case(rng: random.Random, number: int) -> Case:
    make: Callable[[random.Random, int], Case] = rng.choices(
        [_generate, _sampling_tensor, _contract, _infer, _binary, _unknown_model, _grpc], [4, 4, 4, 3, 3, 1, 6]
    )[0]
    return make(rng, number)


def _odd(rng: random.Random, depth: int = 0) -> Any:
    """Any JSON value, and some that JSON does not know."""
    plain: list[Callable[[], Any]] = [
        lambda: None,
        lambda: rng.choice([True, False]),
        lambda: rng.choice(
            [0, -1, 1, 2, 7, 100, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70, -(2**63)]
        ),
        lambda: rng.choice([-(2**31), -(2**64), 10**400]),
        lambda: rng.choice([0.0, 0.5, -0.5, 1.5, 1e308, -1e308, 1e-320, float("nan"), float("inf"), float("-inf")]),
        lambda: rng.choice(
            ["", "x", " ", "0.5", "-1", "NaN", "true", "null", "\0", "a\0b", "\ud800", "é" * 50, "🙂", "("]
        ),
        lambda: rng.choice(["[" * 200, "<|im_end|>", "{}", "{", '{"type": "object"}', "a" * rng.choice([300, 50_000])]),
        lambda: rng.choice([[], {}]),
    ]
    if depth < 3 and rng.random() < 0.3:
        values = [_odd(rng, depth + 1) for _ in range(rng.randint(1, 4))]
        return values if rng.random() < 0.6 else dict(zip(["1", "a", "json", "regex"], values, strict=False))
    return rng.choice(plain)()


def _sampling(rng: random.Random) -> dict[str, Any]:
    given = {"max_tokens": FEW_TOKENS}
    for name in rng.sample(SAMPLING, rng.choice([1, 1, 1, 2, 3])):
        given[name] = _shaped(rng, name) if rng.random() < 0.3 else _odd(rng)
    # A legal request for very many sequences or tokens is work, not an error; this test has no time for it.
    for name, most in (("n", 64), ("max_tokens", 64)):
        if isinstance(given.get(name), int) and most < given[name] < 2**31:
            given[name] = most
    return given


def _shaped(rng: random.Random, name: str) -> Any:
    """A value that is nearly right for its parameter."""
    if name == "structured_outputs":
        kind = rng.choice(["json", "regex", "choice", "grammar", "json_object", "structural_tag", "zzz"])
        return {kind: rng.choice(["{", "[", "(", "a|b", "root ::= ", 'root ::= "a"', [], ["x"], True, _odd(rng)])}
    if name == "repetition_detection":
        return {key: _odd(rng) for key in ("max_pattern_size", "min_pattern_size", "min_count")}
    if name == "logit_bias":
        return {rng.choice(["1", "-1", "x", "1.5", str(2**64), "2047", "2048"]): rng.choice([1, 1e308, "x", None])}
    if name.endswith("_ids"):
        return [
            rng.choice([0, 5, 2047, 2048, -1, 2**31, 2**63, 2**64, None, "1", 1.5]) for _ in range(rng.randint(1, 3))
        ]
    if name in ("stop", "bad_words"):
        return [rng.choice(["", "a", " ", "\0", "x" * 5000, 1, None, "🙂"]) for _ in range(rng.randint(1, 3))]
    return _odd(rng)


def _text(rng: random.Random) -> Any:
    return rng.choice([
        "Hello", "", " " * 50, "\0", "a\0b", "<|im_start|><|im_end|>", "🙂" * 20, "\u202e\u05d0", "word " * 30_000,
        "x" * 900_000, "\ud800", None, 5, True, ["a", "b"], [], {"a": 1}, [["a"]],
    ])  # fmt: skip


def _nested(rng: random.Random) -> str:
    depth = rng.choice([90, 101, 500, 985, 990, 3000])
    pair = rng.choice([("[", "]"), ('{"a":', "}")])
    return pair[0] * depth + "1" + pair[1] * depth


def _damaged(rng: random.Random, body: bytes) -> bytes:
    """Cut, with bytes changed, or with more at its end; and sometimes as it was."""
    at = rng.randrange(len(body) + 1)
    return rng.choice([
        body, body, body, body, body[:at], body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :],
        body[:at] + b"\xff\xfe" + body[at:], body + b"}", body[:at] + b"\0" + body[at:], b"",
    ])  # fmt: skip


def _generate(rng: random.Random, number: int) -> Case:
    body: dict[str, Any] = {"text_input": "Hello", "max_tokens": FEW_TOKENS}
    streamed = rng.random() < 0.5
    if streamed:
        body["stream"] = True
    for _ in range(rng.randint(1, 2)):
        kind = rng.randrange(6)
        if kind == 0:
            body["text_input"] = _text(rng)
        elif kind == 1:
            body[rng.choice(["stream", "exclude_input_in_output", "sampling_parameters"])] = _odd(rng)
        elif kind == 2:
            body[rng.choice(["id", "priority", "timeout", "sequence_id", "triton_x", "", "\0", "zzz", "é"])] = _odd(rng)
        elif kind == 3:
            body["parameters"] = rng.choice([_sampling(rng), _odd(rng)])
        elif kind == 4:
            body.pop("text_input", None)
        else:
            body.update(_sampling(rng))
    if isinstance(body.get("sequence_id"), int):
        body["sequence_start"] = True
    text = json.dumps(body)
    if rng.random() < 0.1:
        text = text[:-1] + ', "zzz": ' + _nested(rng) + "}"
    path = "generate_stream" if streamed else "generate"
    return Case(number, f"/v2/models/{GENERATE}/{path}", _damaged(rng, text.encode("utf-8", "surrogatepass")))


def _sampling_tensor(rng: random.Random, number: int) -> Case:
    sampling = json.dumps(_sampling(rng))
    if rng.random() < 0.15:
        sampling = f'{{"max_tokens": 2, "{rng.choice(SAMPLING)}": {_nested(rng)}}}'
    elif rng.random() < 0.1:
        sampling = _damaged(rng, sampling.encode()).decode("utf-8", "replace")
    streamed = rng.random() < 0.5
    body = {"text_input": "Hello", "stream": streamed, "sampling_parameters": sampling}
    path = "generate_stream" if streamed else "generate"
    return Case(number, f"/v2/models/{GENERATE}/{path}", json.dumps(body).encode())


def _contract(rng: random.Random, number: int) -> Case:
    """The inputs beside the prompt: chats, images, embeddings, outputs to be returned."""
    body: dict[str, Any] = {"max_tokens": FEW_TOKENS}
    asked = rng.choice(["text_input", "messages", "embedding_request", "messages", None])
    if asked:
        body[asked] = "Hello" if asked == "text_input" else _written(rng, asked)
    for name in rng.sample(["image", "tools", "tool_choice", "chat_template_kwargs", "messages"], rng.randint(0, 2)):
        body[name] = _written(rng, name)
    for name in rng.sample(["finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens"], rng.randint(0, 2)):
        body[f"return_{name}"] = rng.choice([True, True, False, 1, "x", None])
    if rng.random() < 0.3:
        body["priority"] = rng.choice([0, 1, 2**31, 1.5, "x", True])
    if rng.random() < 0.3:
        body["stream"] = True
    path = "generate_stream" if body.get("stream") else "generate"
    return Case(number, f"/v2/models/{GENERATE}/{path}", json.dumps(body).encode("utf-8", "surrogatepass"))


def _written(rng: random.Random, name: str) -> Any:
    """Text for one of these inputs: often JSON of nearly the right form."""
    message = {"role": rng.choice(["user", "assistant", "tool", "zzz", _odd(rng)]), "content": _text(rng)}
    function = {"name": rng.choice(["f", "", _odd(rng)]), "parameters": rng.choice([{}, {"type": "zzz"}, _odd(rng)])}
    nearly: dict[str, list[Any]] = {
        "messages": [[message], [message, message], [], [{}], [1], message, [{"content": "x"}], [{"role": "user"}]],
        "tools": [[{"type": "function", "function": function}], [function], [{}], {}],
        "tool_choice": ["auto", "required", {"type": "function", "function": {"name": "zzz"}}, {}],
        "chat_template_kwargs": [{"enable_thinking": _odd(rng)}, {"tools": 1, "messages": 2}, []],
        "embedding_request": [{"input": _text(rng)}, {"input": [1, -1, 2**40]}, {}, {"pooling_params": _odd(rng)}],
        "image": ["aGVsbG8=", "iVBORw0KGgo=", "not base64 !", "data:image/png;base64,AAAA", "=" * 50],
    }
    value = rng.choice([*nearly[name], *nearly[name], _odd(rng)])
    return value if isinstance(value, str) else json.dumps(value)


def _inputs(rng: random.Random, model: str) -> list[dict[str, Any]]:  # noqa: C901 - a list of ways to be wrong
    inputs: list[dict[str, Any]] = [{"name": PROMPT[model], "datatype": "BYTES", "shape": [1], "data": ["Hello"]}]
    if model == RECIPE:
        inputs.append({"name": "max_tokens", "datatype": "INT32", "shape": [1], "data": [FEW_TOKENS]})
    for _ in range(rng.randint(1, 2)):
        item = rng.choice(inputs)
        kind = rng.randrange(8)
        if kind == 0:
            item["datatype"] = rng.choice([*DATATYPES, _odd(rng)])
        elif kind == 1:
            item["shape"] = rng.choice([[0], [2], [1, 1], [], [-1], [2**31], [2**62, 4], ["1"], [1.5], _odd(rng)])
        elif kind == 2:
            item["data"] = rng.choice(
                [[], ["a", "b"], [["a"]], [5], [None], [2**40], [-1], [1e300], [_text(rng)], _odd(rng)]
            )
        elif kind == 3:
            item["name"] = rng.choice(["", "zzz", "\0", "temperature", "a" * 5000, _odd(rng)])
        elif kind == 4:
            inputs.append(dict(item))
        elif kind == 5:
            item.pop(rng.choice(list(item)))
        elif kind == 6:
            value = rng.choice([-1.0, 3.0, 1e38, float("nan"), float("inf"), "x"])
            inputs.append({"name": "temperature", "datatype": "FP32", "shape": [1], "data": [value]})
        else:
            inputs.append(
                {"name": "max_tokens", "datatype": "INT32", "shape": [1], "data": [rng.choice([0, -5, -(2**31)])]}
            )
        if not inputs:
            break
    rng.shuffle(inputs)
    return inputs if rng.random() < 0.95 else []


def _infer(rng: random.Random, number: int) -> Case:
    model = rng.choice([GENERATE, INFER, RECIPE, RECIPE])
    body: dict[str, Any] = {"inputs": _inputs(rng, model)}
    kind = rng.randrange(8)
    if kind == 0:
        body["outputs"] = rng.choice(
            [[{"name": "zzz"}], [{}], [{"name": "generated_text", "parameters": {"binary_data": True}}], _odd(rng)]
        )
    elif kind == 1:
        body["parameters"] = rng.choice([{"timeout": _odd(rng)}, {"priority": _odd(rng)}, {"a": _odd(rng)}, _odd(rng)])
    elif kind == 2:
        body["id"] = _odd(rng)
    elif kind == 3:
        body["inputs"] = _odd(rng)
    text = json.dumps(body)
    if rng.random() < 0.05:
        text = '{"inputs": ' + _nested(rng) + "}"
    return Case(number, f"/v2/models/{model}/infer", _damaged(rng, text.encode("utf-8", "surrogatepass")))


def _strings(rng: random.Random) -> bytes:
    """Elements of a BYTES tensor, each with its length in front; often a wrong one."""
    parts = []
    for _ in range(rng.randint(0, 3)):
        text = rng.choice([b"Hello", b"", b"\xff\xfe", b"\0", b"x" * 200_000, "é".encode(), b"\xe4\xbd"])
        length = rng.choice([len(text), len(text), len(text), len(text) + 1, 0, 2**31, 2**32 - 1])
        parts.append(struct.pack("<I", length) + text)
    return rng.choice([b"".join(parts), b"".join(parts), b"\1\2", b"\xff" * 50])


def _binary(rng: random.Random, number: int) -> Case:
    model = rng.choice([GENERATE, INFER, RECIPE, RECIPE])
    raw = _strings(rng)
    size = rng.choice([len(raw)] * 4 + [len(raw) + 1, len(raw) - 1, 0, -1, 2**31, 2**64, "x", None, 1.5])
    count = rng.choice([1, 1, 2, 3, 0, -1, 2**40])
    inputs = [{"name": PROMPT[model], "datatype": "BYTES", "shape": [count], "parameters": {"binary_data_size": size}}]
    if model == RECIPE:
        inputs.append({"name": "max_tokens", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}})
        raw += struct.pack("<i", rng.choice([FEW_TOKENS, FEW_TOKENS, 0, -1]))
    header = json.dumps({"inputs": inputs}).encode()
    length = rng.choice([len(header)] * 5 + [len(header) - 1, len(header) + 1, 0, -1, 2**40, "x", ""])
    headers = {"Inference-Header-Content-Length": str(length)}
    return Case(number, f"/v2/models/{model}/infer", header + raw, headers)


def _unknown_model(rng: random.Random, number: int) -> Case:
    model = rng.choice(
        ["zzz", "generate%00", "%ff", "a" * 2000, "..%2f..", f"{GENERATE}/versions/7", f"{RECIPE}/versions/x"]
    )
    door = rng.choice(["infer", "generate", "generate_stream"])
    return Case(number, f"/v2/models/{model}/{door}", b'{"text_input": "Hello", "max_tokens": 2}')


def _set_parameter(rng: random.Random, parameter: Any) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        parameter.bool_param = rng.choice([True, False])
    elif kind == 1:
        parameter.int64_param = rng.choice([0, -1, 3, 2**31, 2**63 - 1, -(2**63)])
    elif kind == 2:
        parameter.double_param = rng.choice([0.0, -1.0, 1e308, float("nan"), float("inf")])
    elif kind == 3:
        parameter.string_param = rng.choice(["", "x", "0", "1e999", "nan", "\0", "🙂", "[" * 200, "{", "y" * 100_000])


def _grpc(rng: random.Random, number: int) -> Case:  # noqa: C901 - a list of ways to be wrong
    model = rng.choice([GENERATE, GENERATE, RECIPE])
    method = rng.choice(["ModelInfer", "ModelStreamInfer"])
    request = kserve.ModelInferRequest(model_name=model)
    tensor = request.inputs.add(name=PROMPT[model], datatype="BYTES", shape=[1])
    contents = [struct.pack("<I", 5) + b"Hello"]
    if model == RECIPE:
        request.inputs.add(name="max_tokens", datatype="INT32", shape=[1])
        contents.append(struct.pack("<i", FEW_TOKENS))
    else:
        request.parameters["max_tokens"].int64_param = FEW_TOKENS
    for _ in range(rng.randint(1, 2)):
        kind = rng.randrange(10)
        if kind == 0:
            name = rng.choice(
                [*SAMPLING, "id", "timeout", "priority", "sequence_id", "triton_enable_empty_final_response", "\0", ""]
            )
            _set_parameter(rng, request.parameters[name])
            if name in ("n", "max_tokens") and request.parameters[name].int64_param > FEW_TOKENS:
                request.parameters[name].int64_param = FEW_TOKENS
        elif kind == 1:
            del tensor.shape[:]
            tensor.shape.extend(rng.choice([[0], [2], [1, 1], [], [-1], [2**62, 4], [2**40]]))
        elif kind == 2:
            tensor.datatype = rng.choice([*DATATYPES, "", "\0"])
        elif kind == 3:
            contents[0] = _strings(rng)
        elif kind == 4:
            contents = rng.choice([[], contents[:-1], [*contents, b"x"], [b""]])
            contents = contents or [b"\1"]
        elif kind == 5:
            tensor.name = rng.choice(["", "zzz", "stream", "\0", "x" * 5000])
        elif kind == 6:
            request.inputs.add(name=rng.choice([tensor.name, "zzz", "stream"]), datatype="BOOL", shape=[1])
            contents.append(rng.choice([b"\1", b"\2", b"", b"\1\1"]))
        elif kind == 7:
            setattr(
                request,
                rng.choice(["model_name", "model_version", "id"]),
                rng.choice(["", "zzz", "7", "é", "\0", "i" * 9000]),
            )
        elif kind == 8 and model == GENERATE:
            sampling = rng.choice([json.dumps(_sampling(rng)), _nested(rng), "{"]).encode()
            request.inputs.add(name="sampling_parameters", datatype="BYTES", shape=[1])
            contents.append(struct.pack("<I", len(sampling)) + sampling)
        else:
            request.outputs.add(name=rng.choice(["zzz", "", "text_output"]))
    if rng.random() < 0.2:
        tensor.contents.bytes_contents.append(b"Hello")
        contents = rng.choice([[], contents])
    elif rng.random() < 0.1:
        tensor.contents.int_contents.append(5)
        contents = []
    request.raw_input_contents.extend(contents)
    body = request.SerializeToString()
    return Case(number, method, _damaged(rng, body) if rng.random() < 0.15 else body)
