"""``trident doctor``: examines a machine, an installation, a model and a server, and says what is wrong and what helps.

``examination`` runs the checks (``checks/``, one file for each thing that is looked at) on a ``Patient`` and gives
``Finding`` values; nothing here prints. ``signatures/`` are the causes that are recognised in logs, ``fixes`` what
``--fix`` may do, ``bundle`` the archive to share.
"""
