"""The engine host: runs in the engine environment, owns vLLM, relays tokens to the stubs.

Imports ``trident.protocol`` and vLLM, nothing else of ours. How a start goes:

    __main__   imports vLLM once
    launch     configuration, EngineCore × replicas and the OpenAI server, forked from the warm imports
    host       warm-up, relay, heartbeat, until one of the children ends or a signal comes
"""
