"""Export a network: an ONNX graph for each path, and the description beside them."""

from __future__ import annotations

import logging
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tdnet._util.packages import require
from tdnet._util.regular_files import sha256
from tdnet.backends.onnx.description import (
    DESCRIPTION_NAME,
    FORMAT,
    POSTPROCESSING,
    PRECISIONS,
    PREPROCESSING,
    Cycle,
    ExportDescription,
    HashedFile,
)
from tdnet.backends.onnx.path_graph import PathGraph, for_export, input_specs, output_specs
from tdnet.backends.onnx.tensors import TensorSpec
from tdnet.checkpoints.checkpoint import Checkpoint
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.network import SegmentationNetwork
from tdnet.version import __version__

if TYPE_CHECKING:
    from torch.export import ExportedProgram

LEAST_TORCH = "2.6"
"""The exporter needs it; the networks themselves run with older ones."""
PACKAGES = ("onnx", "onnx_ir", "onnxscript")
OPSET = 18

Converter = Callable[[int, Path, Path], None]
"""Converts the float32 graph of a path: path, file to read, file to write."""


def check_packages(needed_by: str = "tdnet export") -> None:
    """Check that the packages for an export are installed.

    Args:
        needed_by: names the option in the message.

    Raises:
        MissingPackageError: a package is missing, or PyTorch is too old.
    """
    require("torch", needed_by, least=LEAST_TORCH)
    for package in PACKAGES:
        require(package, needed_by, install=f"pip install {' '.join(PACKAGES)}")


def write_export(
    model: SegmentationNetwork,
    class_map: ClassMap,
    checkpoint: Checkpoint,
    folder: Path,
    precision: str = "float32",
    converter: Callable[[SegmentationNetwork], Converter] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> ExportDescription:
    """Write the graphs of a network and their description.

    Args:
        model: the network, not folded.
        class_map: of its channels.
        checkpoint: that it was loaded from.
        folder: existing and empty.
        precision: in `PRECISIONS`; ``float16``: layer norms keep float32.
        converter: for another precision than that of the network's numbers: takes the network
            of `for_export`, and returns what converts its graphs.
        on_progress: called with a line for each step.

    Raises:
        InputError: the precision is unknown.
        MissingPackageError: a package is missing.
        OSError: the folder cannot be written.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}; allowed are {', '.join(PRECISIONS)}")
    if precision.startswith("int8") != (converter is not None):
        raise InputError(f"precision {precision}: int8 needs a converter, others have none")
    check_packages()
    dtype: torch.dtype = getattr(torch, PRECISIONS[precision])
    network = for_export(model, dtype)
    inputs, outputs = input_specs(network, dtype), output_specs(network, dtype)
    convert = converter(network) if converter else None
    graphs = []
    for path in range(model.variant.sub_networks):
        on_progress(f"path {path + 1} of {model.variant.sub_networks}")
        file = folder / f"path{path}.onnx"
        written = file.with_suffix(".float32") if convert else file
        write_graph(PathGraph(network, path), written, inputs, outputs)
        if convert:
            convert(path, written, file)
            written.unlink()
        graphs.append(HashedFile(file.name, sha256(file)))
    description = ExportDescription(
        format=FORMAT,
        variant=model.variant.name,
        num_classes=model.num_classes,
        input_size=model.input_size,
        precision=precision,
        opset=OPSET,
        cycle=Cycle(tuple(graphs), model.variant.memory_capacity),
        inputs=inputs,
        outputs=outputs,
        preprocessing=PREPROCESSING,
        postprocessing=POSTPROCESSING,
        class_map=class_map,
        weights=HashedFile(checkpoint.path.name, checkpoint.sha256),
        made_with={
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "tdnet": __version__,
        },
        align_corners=model.variant.align_corners,
    )
    (folder / DESCRIPTION_NAME).write_text(description.to_json(), encoding="utf-8")
    return description


def write_graph(
    graph: PathGraph, file: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> None:
    """Write a path as an ONNX file.

    Args:
        graph: the path.
        file: to write.
        inputs: of the path.
        outputs: of the path.

    Raises:
        OSError: the file cannot be written.
    """
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    with _quiet():
        model = torch.onnx.export(
            _trace(graph, inputs),
            dynamo=True,
            input_names=[spec.name for spec in inputs],
            output_names=[spec.name for spec in outputs],
            opset_version=OPSET,
            verbose=False,
        )
        assert model is not None
        ClearMetadataAndDocStringPass()(model.model)  # it holds lines of source files
        model.save(file, external_data=False)


def _trace(graph: PathGraph, inputs: Sequence[TensorSpec]) -> ExportedProgram:
    examples = tuple(torch.zeros(s.shape, dtype=getattr(torch, s.dtype)) for s in inputs)
    with torch.no_grad():
        program = torch.export.export(graph, examples, strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's log lines and warnings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
