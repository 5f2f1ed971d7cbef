"""The gateway: a process in front of all doors that asks for a key, speaks TLS and bounds what clients send.

It runs where the configuration wants one of these; otherwise the servers behind keep the doors themselves.
"""
