"""Triton's side: the model repository, the server's command line, and the stub that answers for the engine."""
