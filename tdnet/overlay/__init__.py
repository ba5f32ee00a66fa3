"""The camera image in class colours, with a legend."""

from __future__ import annotations

DEFAULT_ALPHA = 0.5
"""Opacity of the class colours."""
