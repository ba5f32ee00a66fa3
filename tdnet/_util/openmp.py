"""How PyTorch's OpenMP threads wait for each other."""

from __future__ import annotations

import os


def prefer_passive_waiting() -> None:
    """Let threads that wait for others sleep instead of spin; an existing setting is kept.

    OpenMP reads the setting when PyTorch is imported, so call this before. A thread that spins
    keeps the others from the processor wherever another process needs it too: with two threads on
    two busy cores a frame took ten times as long as with threads that sleep.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
