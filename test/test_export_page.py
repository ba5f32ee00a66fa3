"""What docs/export.md shows runs and gives the network's logits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.frames import drive

from tdnet import SegmenterSettings
from tdnet.preprocess import Preprocessor
from tdnet.runtimes import RUNTIMES
from tdnet_offline.command import _parser

PAGE = (Path(__file__).parents[1] / "docs" / "export.md").read_text(encoding="utf-8")
SIZE = (65, 129)


def test_the_cycle_in_a_few_lines(exported_nano: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    frames = drive(6, *SIZE)
    network, _ = SegmenterSettings(input_size=SIZE).load_model()
    network.requires_grad_(False)
    preprocess, memory = Preprocessor(SIZE, torch.device("cpu"), torch.float32), None
    memory = network.new_memory()
    for frame, logits in zip(frames, names["logits_of"](exported_nano, frames), strict=True):
        expected = network.step(preprocess(torch.from_numpy(frame)), memory).numpy()
        assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


def test_options_and_runtimes_are_those_of_the_command() -> None:
    shown = set(re.findall(r"(?<!`)`(--[a-z-]+)`", PAGE.split("## What lies")[0]))
    subparsers = next(a for a in _parser()._actions if hasattr(a, "choices") and a.choices)
    known = {option for a in subparsers.choices["export"]._actions for option in a.option_strings}
    assert shown == known - {"-h", "--help", "--variant", "--weights", "--output"}
    rows = PAGE.split("## Runtimes")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE) == ["runtime", *RUNTIMES]


def test_tensors_are_those_of_the_description(exported_nano: Path) -> None:
    document = json.loads((exported_nano / "export.json").read_text(encoding="utf-8"))
    names = {spec["name"] for spec in document["inputs"] + document["outputs"]}
    rows = PAGE.split("## What lies")[1].split("M is `memory_frames`")[0]
    cells = "".join(line.split("|")[1] for line in rows.splitlines() if line.startswith("|"))
    shown = set(re.findall(r"`(\w+)`", cells))
    assert {re.sub(r"_\d$", "_I", name) for name in names} == shown
