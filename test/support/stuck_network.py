"""A network that is stuck until a test releases it."""

from __future__ import annotations

import threading
from typing import Any

import torch


class StuckNetwork:
    """While it is set, every network in the inference thread waits."""

    def __init__(self) -> None:
        self.reached, self.release = threading.Event(), threading.Event()

    def __call__(self, module: torch.nn.Module, inputs: Any) -> None:
        if threading.current_thread().name == "inference" and not self.release.is_set():
            self.reached.set()
            assert self.release.wait(60)
