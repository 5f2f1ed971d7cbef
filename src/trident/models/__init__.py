"""From the name a user types to a folder that vLLM can load."""

from trident.models.folder import check_folder
from trident.models.resolve import ResolvedModel, resolve

__all__ = ["ResolvedModel", "check_folder", "resolve"]
