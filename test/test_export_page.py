"""The Python of docs/export.md runs and returns the network's logits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.frames import drive
from support.nano import nano_weights

from tdnet import SegmenterSettings
from tdnet.frames.preprocess import Preprocessor

PAGE = (Path(__file__).parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
SIZE = (65, 129)


def test_the_python_of_the_page(exported_nano: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    frames = drive(6, *SIZE)
    network, _ = SegmenterSettings(weights=nano_weights(), input_size=SIZE).load_model()
    network.requires_grad_(False)
    preprocess = Preprocessor(SIZE, torch.device("cpu"), torch.float32)
    memory = network.new_memory()
    for frame, logits in zip(frames, names["logits_of"](exported_nano, frames), strict=True):
        expected = network.step(preprocess(torch.from_numpy(frame)), memory).numpy()
        assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()
