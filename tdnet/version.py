"""The version of the project: it stands here, everything else copies it."""

__version__ = "0.1.0"
