"""The default number format of the networks in tests."""

from __future__ import annotations

import torch

from tdnet._util.device import resolve_precision


def precision_of_a_cpu() -> str:
    """Return what ``auto`` means on this machine's processor."""
    return str(resolve_precision("auto", torch.device("cpu"))).removeprefix("torch.")
