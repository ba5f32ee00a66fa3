"""A traced path as a file: ONNX, a program of torch.export, or a compiled package."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tdnet._util.packages import require
from tdnet.backends.onnx.tensors import BATCH, TensorSpec
from tdnet.errors import InputError
from tdnet_offline.export.path_graph import PathGraph, example_inputs

if TYPE_CHECKING:
    from torch.export import ExportedProgram

LEAST_TORCH = "2.6"
ONNX_PACKAGES = ("onnx", "onnx_ir", "onnxscript")
"""Whose exporters take what is exported here; the networks themselves run with an older one."""
OPSET = 18
MAX_BATCH = 64
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "aoti": ".pt2"}


def check_packages(format: str) -> None:
    """Find out at once whether what a format needs is installed.

    Raises:
        MissingPackageError: a package is not, or PyTorch is too old.
    """
    choice = f"--format {format}"
    require("torch", choice, least=LEAST_TORCH)
    for package in ONNX_PACKAGES if format == "onnx" else ():
        require(package, choice, install=f"pip install {' '.join(ONNX_PACKAGES)}")


def trace(graph: PathGraph, inputs: Sequence[TensorSpec]) -> ExportedProgram:
    """Record what a path does.

    Args:
        graph: the path.
        inputs: what it takes.
    """
    shapes: Any = None
    if inputs[0].shape[0] == BATCH:
        batch = torch.export.Dim(BATCH, min=1, max=MAX_BATCH)
        # What a path takes of memory is one argument, which single-frame networks have not.
        memory = tuple({0: batch} for _ in inputs[1:])
        shapes = ({0: batch}, memory) if memory else ({0: batch},)
    with _quiet(), torch.no_grad():
        program = torch.export.export(
            graph, example_inputs(inputs), dynamic_shapes=shapes, strict=False
        )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # where this project lies is nobody's business
    return program


def write_graph(
    program: ExportedProgram,
    path: Path,
    format: str,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> None:
    """Write a traced path.

    Args:
        program: as `trace` gave it.
        path: the file.
        format: of `SUFFIXES`.
        inputs: what the path takes.
        outputs: what it gives.

    Raises:
        InputError: this machine cannot compile it.
        OSError: the file cannot be written.
    """
    with _quiet():
        if format == "onnx":
            _write_onnx(program, path, inputs, outputs)
        elif format == "torch":
            buffer = io.BytesIO()
            torch.export.save(program, buffer)
            path.write_bytes(buffer.getbuffer())
        else:
            _compile(program, path)


def _write_onnx(
    program: ExportedProgram,
    path: Path,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> None:
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    model = torch.onnx.export(
        program,
        dynamo=True,
        input_names=[spec.name for spec in inputs],
        output_names=[spec.name for spec in outputs],
        opset_version=OPSET,
        verbose=False,
    )
    assert model is not None
    ClearMetadataAndDocStringPass()(model.model)  # among it lines of source files
    model.save(path, external_data=False)


def _compile(program: ExportedProgram, path: Path) -> None:
    from torch._inductor import aoti_compile_and_package
    from torch._inductor.exc import InductorError

    try:
        aoti_compile_and_package(program, package_path=str(path))
    except (InductorError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"this machine cannot compile the network ({reason}): install a C++ compiler, or "
            "export with --format torch"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters say about themselves from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
