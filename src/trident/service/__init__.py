"""``trident service``: a server that systemd starts, watches and stops, for one user or for the machine."""
