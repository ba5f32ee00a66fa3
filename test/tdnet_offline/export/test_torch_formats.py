"""Programs of torch.export, and packages of AOTInductor, compute what the network computes."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tdnet import create_model
from tdnet.backends.onnx.tensors import BATCH
from tdnet_offline.export.graph_files import trace, write_graph
from tdnet_offline.export.path_graph import PathGraph, for_export, input_specs, output_specs

SIZE = (33, 49)


def load_program(path: Path) -> Callable[..., tuple[Tensor, ...]]:
    return torch.export.load(path).module()


def load_package(path: Path) -> Callable[..., tuple[Tensor, ...]]:
    return torch._inductor.aoti_load_package(str(path))


@pytest.mark.parametrize(
    ("variant", "format", "batch", "load"),
    [
        pytest.param("td4-psp18-nano", "torch", 1, load_program, id="program"),
        pytest.param("td4-psp18-nano", "torch", BATCH, load_program, id="program of any batch"),
        pytest.param(
            "psp18-nano",
            "aoti",
            1,
            load_package,
            id="package",
            marks=pytest.mark.skipif(
                shutil.which("g++") is None,
                reason="needs a C++ compiler: apt install g++, then `make test`",
            ),
        ),
    ],
)
def test_a_path_gives_the_same_numbers(
    variant: str,
    format: str,
    batch: int | str,
    load: Callable[[Path], Callable[..., tuple[Tensor, ...]]],
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    model = create_model(variant, input_size=SIZE).requires_grad_(False)
    graph = PathGraph(for_export(model, torch.float32), model.variant.paths - 1, None)
    inputs = input_specs(model, torch.float32, batch)
    outputs = output_specs(model, torch.float32, batch, "logits")
    path = tmp_path / "path.pt2"
    write_graph(trace(graph, inputs), path, format, inputs, outputs)
    given = [torch.randn(spec.of_batch(3 if batch == BATCH else 1)) for spec in inputs]
    with zipfile.ZipFile(path) as archive:  # says nothing of the machine that wrote it
        assert all(b"path_graph.py" not in archive.read(name) for name in archive.namelist())
    result = load(path)(*given)
    expected = graph(*given)
    for ours, theirs in zip(result, expected, strict=True):
        assert float((ours - theirs).abs().max()) < 1e-4 * float(theirs.abs().max())
