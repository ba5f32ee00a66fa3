"""What the offline tools write: images, videos; every file whole or not there."""

from __future__ import annotations
