"""The best configuration for this machine, this model and these SLOs: space, search, trials, result."""
