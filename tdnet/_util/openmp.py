"""Waiting of PyTorch's OpenMP threads."""

from __future__ import annotations

import os


def prefer_passive_waiting() -> None:
    """Let waiting threads sleep instead of spin; an existing setting is kept.

    OpenMP reads the setting when PyTorch is imported: call this before. Spinning threads take
    processor time from other processes and from each other: on two busy cores, a frame took ten
    times as long as with sleeping threads.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
