"""``trident bench``: load against anyone's server. Imports nothing of Trident's own server but the error tree."""
