"""Plain infer on qwen3_vllm over gRPC.

python examples/triton_grpc_infer.py "What is the capital of France?"
"""

import os
import sys

import numpy as np
import tritonclient.grpc as triton

question = sys.argv[1] if len(sys.argv) > 1 else "What is the capital of France?"
prompt = triton.InferInput("prompt", [1], "BYTES")
prompt.set_data_from_numpy(np.array([question.encode()], dtype=object))
temperature = triton.InferInput("temperature", [1], "FP32")
temperature.set_data_from_numpy(np.array([0.0], dtype=np.float32))

with triton.InferenceServerClient(os.environ.get("GRPC_URL", "127.0.0.1:8001")) as client:
    result = client.infer("qwen3_vllm", [prompt, temperature])
sys.stdout.write(result.as_numpy("generated_text")[0].decode().strip() + "\n")
