"""Which number format the tests' networks compute in where nothing else is said."""

from __future__ import annotations

import torch

from tdnet._util.device import resolve_precision


def precision_of_a_cpu() -> str:
    """What ``auto`` is on this machine's processor."""
    return str(resolve_precision("auto", torch.device("cpu"))).removeprefix("torch.")
