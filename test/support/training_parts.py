"""Classes that recipes of tests name by class path, as a user would write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor, nn

STEPS: list[int] = []
"""Iterations that `Recorder` saw."""


class Recorder(pl.Callback):
    """Counts iterations, also those before a resumption."""

    def __init__(self, name: str = "recorder") -> None:
        self.name, self.seen = name, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        self.seen += 1
        STEPS.append(trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seen = state_dict["seen"]


class Unstorable(pl.Callback):
    """Has a state that cannot be read without executing code."""

    def state_dict(self) -> dict[str, Any]:
        return {"path": Path("x")}


class SumLoss(nn.Module):
    """The plain cross-entropy, times a factor."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        assert logits.dtype == torch.float32
        assert logits.shape[2:] == labels.shape[1:]
        return self.factor * nn.functional.cross_entropy(logits, labels, ignore_index=255)


class LineLogger(Logger):
    """Writes a line for each entry."""

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self.path = Path(save_dir) / "lines.txt"

    @property
    def name(self) -> str:
        return "lines"

    @property
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: dict[str, Any], *_: object) -> None:
        self._write(f"variant {params['network']['variant']}")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self._write(f"{step} {' '.join(sorted(metrics))}")

    def _write(self, line: str) -> None:
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a") as file:
            file.write(line + "\n")
