"""One declaration for flags, variables, file, help and reference page."""

from trident.config.load import load
from trident.config.models import Config

__all__ = ["Config", "load"]
