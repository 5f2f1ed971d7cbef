"""KServe clients as users write them: tensors from plain values, streams over gRPC."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import np_to_triton_dtype

WAIT_S = 60


def tensors(library: Any, *, binary: bool = True, **values: Any) -> list[Any]:
    """Inputs of ``library`` (tritonclient's http or grpc): text, lists of texts, truth values and numpy arrays.
    ``binary`` is a choice that only http has."""
    made = []
    for name, value in values.items():
        array = np.array(value if isinstance(value, (list, np.ndarray)) else [value])
        if array.dtype.kind == "U":
            array = np.array([text.encode() for text in array], dtype=object)
        tensor = library.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array, **({} if binary else {"binary_data": False}))
        made.append(tensor)
    return made


class Stream:
    """One gRPC stream, which may carry several requests."""

    def __init__(self, url: str, **options: Any) -> None:
        self._arrived: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._client = grpc.InferenceServerClient(url)
        self._client.start_stream(lambda result, error: self._arrived.put((result, error)), **options)

    def ask(self, model: str = "generate", *, request_id: str = "", **inputs: Any) -> None:
        self._client.async_stream_infer(model, tensors(grpc, **inputs), request_id=request_id)

    def next(self) -> Any:
        """The next response; raises its error."""
        result, error = self._arrived.get(timeout=WAIT_S)
        if error is not None:
            raise error
        return result

    def responses(self) -> Iterator[Any]:
        """All responses of one request, to the final one."""
        while True:
            result = self.next()
            if result.get_response().outputs:
                yield result
            if result.get_response().parameters["triton_final_response"].bool_param:
                return

    def close(self, *, cancel: bool = False) -> None:
        self._client.stop_stream(cancel_requests=cancel)
        self._client.close()
