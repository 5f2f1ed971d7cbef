"""One file for each kind of plot. They take plain numbers and know nothing of results."""
