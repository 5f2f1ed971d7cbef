"""The metrics door: one page of what tritonserver counts and what the engines count. A process of its own.

counts      counters and histograms from an engine's files
count_keys  where in these files the numbers stand
families    vLLM's metric families: read from an engine's files or from text, added, labelled
exposition  the same as text
page        puts a page together from tritonserver and the engines that ``state.json`` names
__main__    the HTTP server
"""
