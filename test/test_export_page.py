"""What docs/export.md shows runs and gives the network's logits."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.extras import exporting_package
from support.frames import drive

from tdnet import SegmenterSettings
from tdnet.backends import RUNTIMES
from tdnet.frames.preprocess import Preprocessor
from tdnet_offline.command import _parser, main
from tdnet_offline.export.graph_files import LEAST_TORCH

PAGE_PATH = Path(__file__).parents[1] / "docs" / "export.md"
PAGE = PAGE_PATH.read_text(encoding="utf-8")
SIZE, SMALL = (65, 129), (33, 49)


def test_the_cycle_in_a_few_lines(exported_nano: Path) -> None:
    check_the_lines(exported_nano, SIZE, np.float32, 1e-4)


def test_the_same_lines_take_float16_and_a_batch(exported_half: Path) -> None:
    check_the_lines(exported_half, SMALL, np.float16, 5e-2)


@pytest.fixture(scope="module")
def exported_half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        exporting_package(package)
    folder = tmp_path_factory.mktemp("export") / "half"
    words = ["--variant", "td4-psp18-nano", "--input-size", *map(str, SMALL)]
    words += ["--precision", "float16", "--dynamic-batch", "--output", str(folder)]
    assert main(["export", *words]) == 0
    return folder


def check_the_lines(folder: Path, size: tuple[int, int], dtype: type, error: float) -> None:
    """Compare the logits with the network's, up to a share of the largest."""
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    frames = drive(6, *size)
    network, _ = SegmenterSettings(input_size=size).load_model()
    network.requires_grad_(False)
    preprocess = Preprocessor(size, torch.device("cpu"), torch.float32)
    memory = network.new_memory()
    for frame, logits in zip(frames, names["logits_of"](folder, frames), strict=True):
        expected = network.step(preprocess(torch.from_numpy(frame)), memory).numpy()
        assert logits.dtype == dtype
        assert np.abs(logits - expected).max() < error * np.abs(expected).max()


def test_the_packages_to_install_are_those_of_the_extras() -> None:
    config = ConfigParser()
    config.read(PAGE_PATH.parents[1] / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    said = " ".join(re.findall(r"pip install ([^#\n`]*)", PAGE)).replace('"', "").split()
    names = {re.split(r"[<>=]", word)[0] for word in said}
    for extra in ("export", "onnxruntime", "tensorrt"):
        for requirement in extras[extra].split():
            assert re.split(r"[<>=]", requirement)[0] in names
    (torch_needed,) = (word for word in extras["export"].split() if word.startswith("torch"))
    assert torch_needed in said
    assert torch_needed == f"torch>={LEAST_TORCH}"


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
