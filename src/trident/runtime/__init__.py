"""The two environments: what the machine can run, how the engine environment is made, where Triton is found.

Nothing here prints. Long work reports through a callback (``progress.Report``) and fails with ``EnvironmentBroken``.
"""
