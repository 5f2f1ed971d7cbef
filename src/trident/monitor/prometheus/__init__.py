"""Prometheus beside the server: its program, its files, its rules.

find        where the program is
rule        a recording rule, an alert rule, a group of them
recording   what is recorded: the list that dashboards and documents are made from
promises    the error budgets of the SLOs, and how fast they are spent
burn        alerts on that
liveness    alerts: something is down, stuck or silent
saturation  alerts: there is too much to do, or too little room
gpu_faults  alerts: a GPU is broken
files       the configuration and the rules as files
child       Prometheus as a child of ours
"""
