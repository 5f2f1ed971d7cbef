"""The recipe's client: plain infer on qwen3_vllm over HTTP, one prompt or several, one answer a line.

python examples/triton_http.py "What is the capital of France?" "What is the capital of Japan?"
"""

import os
import sys

import numpy as np
import tritonclient.http as triton

prompts = sys.argv[1:] or ["What is the capital of France?"]
prompt = triton.InferInput("prompt", [len(prompts)], "BYTES")
prompt.set_data_from_numpy(np.array([text.encode() for text in prompts], dtype=object))
max_tokens = triton.InferInput("max_tokens", [1], "INT32")
max_tokens.set_data_from_numpy(np.array([64], dtype=np.int32))
temperature = triton.InferInput("temperature", [1], "FP32")
temperature.set_data_from_numpy(np.array([0.0], dtype=np.float32))

server = os.environ.get("HTTP_URL", "http://127.0.0.1:8000").removeprefix("http://")
with triton.InferenceServerClient(server) as client:
    result = client.infer("qwen3_vllm", [prompt, max_tokens, temperature])
for text in result.as_numpy("generated_text"):
    sys.stdout.write(text.decode().strip() + "\n")
