"""Trident: the real vLLM engine behind the real Triton Inference Server, from one command.

This module is imported by every process of a running server, in both environments: keep it free of imports.
"""

__version__ = "0.1.0"
