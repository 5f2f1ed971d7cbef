"""What a team sees of a server: one page of metrics, Prometheus with its rules, a live page.

exporter       the page of all metrics, from sources/
watchers       the processes that watch: the monitor and prometheus/
scrape_token   what Prometheus shows where users show an API key
"""
