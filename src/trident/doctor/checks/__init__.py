"""One file for each thing that is looked at; a check takes a ``Patient`` and yields ``Finding`` values."""
