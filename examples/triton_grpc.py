"""Tokens as they come: ModelStreamInfer on the model generate over gRPC.

python examples/triton_grpc.py "What is the capital of France?"
"""

import json
import os
import queue
import sys

import numpy as np
import tritonclient.grpc as triton


def tensor(name: str, datatype: str, value: object) -> triton.InferInput:
    built = triton.InferInput(name, [1], datatype)
    built.set_data_from_numpy(np.array([value], dtype=bool if datatype == "BOOL" else object))
    return built


question = sys.argv[1] if len(sys.argv) > 1 else "What is the capital of France?"
inputs = [
    tensor("text_input", "BYTES", question.encode()),
    tensor("stream", "BOOL", True),
    tensor("sampling_parameters", "BYTES", json.dumps({"max_tokens": 64, "temperature": 0}).encode()),
]
answers: queue.SimpleQueue = queue.SimpleQueue()
with triton.InferenceServerClient(os.environ.get("GRPC_URL", "127.0.0.1:8001")) as client:
    client.start_stream(lambda result, error: answers.put((result, error)))
    client.async_stream_infer("generate", inputs)
    is_final = False
    while not is_final:
        result, error = answers.get(timeout=60)
        if error is not None:
            sys.exit(str(error))
        sys.stdout.write(result.as_numpy("text_output")[0].decode())
        sys.stdout.flush()
        is_final = result.get_response().parameters["triton_final_response"].bool_param
sys.stdout.write("\n")
