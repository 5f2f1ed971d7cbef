"""Grafana's dashboards and how a Grafana is given them.

``design`` makes the dashboards of code when Trident is built; ``dashboards`` holds what it has made, which is all that
an installed Trident needs.
"""
