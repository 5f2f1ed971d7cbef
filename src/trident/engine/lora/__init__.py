"""LoRA adapters for every front door: named at the start, or put into a folder while the server runs.

adapters     what a server has of them
fit          is this folder an adapter that the served model can carry?
shelf        a name → the request that vLLM wants, with the same id in every process
loader       the relay's side: in the engine before the first request that needs it
openai       the OpenAI server's side
cpu_kernels  a mistake of vLLM corrected
"""
