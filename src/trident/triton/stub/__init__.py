"""Runs inside Triton's Python backend processes. Imports msgspec, pyzmq, tokenizers and numpy: every megabyte here
is paid once for each stub."""
