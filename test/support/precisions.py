"""The default number format of the networks in tests."""

from __future__ import annotations

import torch

from tdnet._util.device import resolve_precision
from tdnet.backends.onnx.providers import candidates


def precision_of_a_cpu(runtime: str = "torch") -> str:
    """Return what ``auto`` means on this machine's processor."""
    if runtime == "torch":
        return str(resolve_precision("auto", torch.device("cpu"))).removeprefix("torch.")
    provider, _ = next(candidates(runtime.partition(":")[2], "cpu"))
    return provider.resolve("auto")
