"""Output files: images, videos, folders; each is written completely or not at all."""

from __future__ import annotations
