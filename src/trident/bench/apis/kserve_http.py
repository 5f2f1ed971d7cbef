"""KServe's HTTP ``infer``: the recipe's tensors, or those of Triton's vLLM backend at a model that is not decoupled."""

from __future__ import annotations

from typing import Any

import msgspec

from trident.bench.apis.http_request import HttpRequest, failed
from trident.bench.apis.sampling import COUNT_INPUTS, sampling_parameters
from trident.bench.exchange import Answer, Ask, Exchange, Failure
from trident.bench.plan import Target, Workload


class _Output(msgspec.Struct):
    name: str
    data: list[Any] = []


class _Response(msgspec.Struct):
    outputs: list[_Output]


_decode = msgspec.json.Decoder(_Response).decode


class KserveHttp:
    """``/v2/models/MODEL/infer``."""

    def __init__(self, target: Target, workload: Workload) -> None:
        self._request = HttpRequest(target.url)
        self._target = target
        self._workload = workload

    def encode(self, ask: Ask) -> bytes:
        """See ``Api``."""
        if self._target.contract == "recipe":
            inputs = [
                _input("prompt", "BYTES", ask.prompt),
                _input("max_tokens", "INT32", ask.max_tokens),
                _input("temperature", "FP32", self._workload.temperature),
            ]
        else:
            inputs = [
                _input("text_input", "BYTES", ask.prompt),
                _input("exclude_input_in_output", "BOOL", True),
                _input("sampling_parameters", "BYTES", sampling_parameters(ask, self._workload)),
            ]
            if self._target.asks_token_counts:
                inputs += [_input(name, "BOOL", True) for name in COUNT_INPUTS]
        return self._request({"inputs": inputs})

    def read(self, exchange: Exchange) -> Answer:
        """See ``Api``."""
        refused = failed(exchange)
        if refused is not None:
            return refused
        try:
            response = _decode(b"".join(exchange.pieces))
        except msgspec.MsgspecError as error:
            return Answer(failure=Failure("protocol", f"the answer is not KServe's: {error}"))
        data = {output.name: output.data for output in response.outputs}
        texts = data.get("text_output") or data.get("generated_text")
        if texts is None:
            return Answer(failure=Failure("protocol", f"the answer has no text, but {', '.join(data) or 'nothing'}"))
        return Answer(
            arrivals_ns=[exchange.end_ns],
            is_streamed=False,
            input_tokens=next(iter(data.get("num_input_tokens", [])), None),
            output_tokens=sum(data["num_output_tokens"]) if "num_output_tokens" in data else None,
            text="".join(map(str, texts)),
        )


def _input(name: str, datatype: str, value: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [1], "data": [value]}
