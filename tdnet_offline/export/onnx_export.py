"""Export a network: an ONNX graph for each path, and the description beside them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from tdnet.backends.onnx.tensors import TensorSpec
from tdnet.errors import InputError
from tdnet.network import SegmentationNetwork
from tdnet.settings import SegmenterSettings
from tdnet_offline import provenance
from tdnet_offline.export.int8 import Image, calibration_inputs, quantise
from tdnet_offline.export.path_graph import PathGraph, for_export, input_specs, output_specs
from tdnet_offline.writers.new_folder import check_new, new_folder

if TYPE_CHECKING:
    from torch.export import ExportedProgram

LEAST_TORCH = "2.6"
"""The exporter needs it; the networks themselves run with older ones."""
PACKAGES = ("onnx", "onnx_ir", "onnxscript")
OPSET = 18
INT8, INT8_TENSORRT = "int8", "int8-tensorrt"


def check_packages() -> None:
    """Check that the packages for an export are installed.

    Raises:
        MissingPackageError: a package is missing, or PyTorch is too old.
    """
    require("torch", "tdnet export", least=LEAST_TORCH)
    for package in PACKAGES:
        require(package, "tdnet export", install=f"pip install {' '.join(PACKAGES)}")


def export_network(
    settings: SegmenterSettings,
    folder: Path,
    precision: str = "float32",
    calibration: Iterable[Image] | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> ExportDescription:
    """Write the graphs of a network and their description into a new folder.

    Args:
        settings: network to export; device, precision and runtime have no effect.
        folder: new or empty; nothing is left in it if the export fails.
        precision: ``float32``; ``float16`` (layer norms keep float32); or for the convolutions
            alone ``int8`` (ONNX Runtime on CPUs) or ``int8-tensorrt``.
        calibration: for int8, frames of one stream, (H', W', 3) uint8 RGB in order.
        on_progress: called with a line for each step.

    Raises:
        TdnetError: the weights cannot be used, a package is missing, the folder is not empty,
            or the calibration frames are missing, too few, or given without int8.
        OSError: the folder cannot be written.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}; allowed are {', '.join(PRECISIONS)}")
    is_int8 = precision in (INT8, INT8_TENSORRT)
    if is_int8 != (calibration is not None):
        raise InputError("--calibrate SOURCE and --precision int8 go together")
    check_packages()
    if is_int8:
        require("onnxruntime", "--precision int8")
    check_new(folder)
    checkpoint = settings.open_checkpoint()
    model, class_map = settings.load_model(checkpoint)
    dtype: torch.dtype = getattr(torch, PRECISIONS[precision])
    network = for_export(model, dtype)
    with new_folder(folder, last=DESCRIPTION_NAME) as temporary:
        graphs = _write_graphs(network, dtype, temporary, precision, calibration, on_progress)
        description = ExportDescription(
            format=FORMAT,
            variant=model.variant.name,
            num_classes=model.num_classes,
            input_size=model.input_size,
            precision=precision,
            opset=OPSET,
            cycle=Cycle(graphs, model.variant.memory_capacity),
            inputs=input_specs(model, dtype),
            outputs=output_specs(model, dtype),
            preprocessing=PREPROCESSING,
            postprocessing=POSTPROCESSING,
            class_map=class_map,
            weights=HashedFile(checkpoint.path.name, checkpoint.sha256),
            made_with=provenance.versions(),
        )
        (temporary / DESCRIPTION_NAME).write_text(description.to_json(), encoding="utf-8")
    return description


def _write_graphs(
    network: SegmentationNetwork,
    dtype: torch.dtype,
    folder: Path,
    precision: str,
    calibration: Iterable[Image] | None,
    on_progress: Callable[[str], None],
) -> tuple[HashedFile, ...]:
    inputs, outputs = input_specs(network, dtype), output_specs(network, dtype)
    ranges = None if calibration is None else calibration_inputs(network, calibration)
    graphs = []
    for path in range(network.variant.paths):
        on_progress(f"path {path + 1} of {network.variant.paths}")
        file = folder / f"path{path}.onnx"
        written = file if ranges is None else file.with_suffix(".float32")
        write_graph(PathGraph(network, path), written, inputs, outputs)
        if ranges is not None:
            quantise(written, file, ranges[path], signed=precision == INT8_TENSORRT)
            written.unlink()
        graphs.append(HashedFile(file.name, sha256(file)))
    return tuple(graphs)


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
