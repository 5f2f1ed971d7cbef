"""The openai package, streaming.

python examples/openai_chat.py "What is the capital of France?"
"""

import os
import sys

from openai import OpenAI

question = sys.argv[1] if len(sys.argv) > 1 else "What is the capital of France?"
url = os.environ.get("OPENAI_URL", "http://127.0.0.1:9000").removesuffix("/v1")
client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("OPENAI_API_KEY", "none"))
stream = client.chat.completions.create(
    model=client.models.list().data[0].id,
    messages=[{"role": "user", "content": question}],
    temperature=0,
    max_tokens=64,
    stream=True,
)
for chunk in stream:
    sys.stdout.write(chunk.choices[0].delta.content or "" if chunk.choices else "")
    sys.stdout.flush()
sys.stdout.write("\n")
