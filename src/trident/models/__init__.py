"""From the name a user types to a folder that vLLM can load."""
