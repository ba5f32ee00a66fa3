"""A whole export: every path of a network, and the description beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from tdnet._util.packages import require
from tdnet._util.regular_files import sha256
from tdnet.backends.onnx.description import (
    DESCRIPTION_NAME,
    POSTPROCESSING,
    PREPROCESSING,
    Cycle,
    ExportDescription,
    HashedFile,
)
from tdnet.backends.onnx.tensors import BATCH, LABELS, LOGITS
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.network import SegmentationNetwork
from tdnet.settings import SegmenterSettings
from tdnet_offline import provenance
from tdnet_offline.export.graph_files import (
    OPSET,
    SUFFIXES,
    check_packages,
    trace,
    write_graph,
)
from tdnet_offline.export.int8 import (
    Image,
    calibration_inputs,
    quantise,
)
from tdnet_offline.export.path_graph import PathGraph, for_export, input_specs, output_specs
from tdnet_offline.writers.new_folder import check_new, new_folder

INT8, INT8_TENSORRT = "int8", "int8-tensorrt"
PRECISIONS = ("float32", "float16", INT8, INT8_TENSORRT)


@dataclass(frozen=True)
class ExportOptions:
    """What is written.

    Attributes:
        format: ``onnx``, ``torch`` (programs of torch.export) or ``aoti`` (compiled by
            AOTInductor for this machine's CPU).
        output: ``logits``, or ``labels`` at the size of the input.
        precision: of numbers and tensors, ``float32`` or ``float16``; layer norms keep float32.
            ``int8``, ``int8-tensorrt``: of the convolutions of ONNX graphs, other numbers are
            float32.
        dynamic_batch: whether the number of frames at once is open; otherwise it is one.

    Raises:
        InputError: a value that is not allowed.
    """

    format: str = "onnx"
    output: str = LOGITS
    precision: str = "float32"
    dynamic_batch: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        allowed = {"format": tuple(SUFFIXES), "output": (LOGITS, LABELS), "precision": PRECISIONS}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}; allowed are {', '.join(values)}"
                )
        if self.is_int8 and self.format != "onnx":
            raise InputError(f"precision {self.precision} is for --format onnx only")

    @property
    def is_int8(self) -> bool:
        """Whether convolutions are quantised."""
        return self.precision in (INT8, INT8_TENSORRT)

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the tensors between graphs."""
        return torch.float16 if self.precision == "float16" else torch.float32


def export_network(
    settings: SegmenterSettings,
    folder: Path,
    options: ExportOptions,
    tell: Callable[[str], None] = lambda _: None,
    calibration: Iterable[Image] | None = None,
) -> ExportDescription:
    """Write the graphs of a network, and their description, into a new folder.

    Args:
        settings: of the network; device, precision and runtime are of no effect.
        folder: to make; nothing is there until all of it is.
        options: what is written.
        tell: shows what is being done.
        calibration: for int8, a stream's frames, (H', W', 3) uint8 RGB in order.

    Raises:
        TdnetError: the weights cannot be used, a package is missing, the folder holds something,
            or frames to calibrate with are missing, too few, or given in vain.
        OSError: the folder cannot be written.
    """
    check_packages(options.format)
    if options.is_int8:
        require("onnxruntime", "--precision int8")
    if options.is_int8 != (calibration is not None):
        raise InputError("--calibrate SOURCE and --precision int8 go together")
    check_new(folder)
    checkpoint = settings.open_checkpoint()
    model, class_map = settings.load_model(checkpoint)
    with new_folder(folder, last=DESCRIPTION_NAME) as place:
        graphs = _write_paths(model, class_map, place, options, tell, calibration)
        batch = BATCH if options.dynamic_batch else 1
        description = ExportDescription(
            format=options.format,
            variant=model.variant.name,
            num_classes=model.num_classes,
            input_size=model.input_size,
            precision=options.precision,
            opset=OPSET if options.format == "onnx" else None,
            cycle=Cycle(graphs, model.variant.memory_capacity),
            inputs=tuple(input_specs(model, options.dtype, batch)),
            outputs=tuple(output_specs(model, options.dtype, batch, options.output)),
            preprocessing=PREPROCESSING,
            postprocessing=POSTPROCESSING[options.output],
            class_map=class_map,
            weights=HashedFile(checkpoint.path.name, checkpoint.sha256),
            made_with=provenance.versions(),
        )
        (place / DESCRIPTION_NAME).write_text(description.to_json(), encoding="utf-8")
    return description


def _write_paths(
    model: SegmentationNetwork,
    class_map: ClassMap,
    place: Path,
    options: ExportOptions,
    tell: Callable[[str], None],
    calibration: Iterable[Image] | None,
) -> tuple[HashedFile, ...]:
    batch = BATCH if options.dynamic_batch else 1
    network = for_export(model, options.dtype)
    inputs = input_specs(network, options.dtype, batch)
    outputs = output_specs(network, options.dtype, batch, options.output)
    seen = None if calibration is None else calibration_inputs(network, calibration)
    ids = torch.tensor(class_map.id_table, dtype=torch.int32) if options.output == LABELS else None
    graphs = []
    for path in range(model.variant.paths):
        tell(f"path {path + 1} of {model.variant.paths}")
        file = place / f"path{path}{SUFFIXES[options.format]}"
        program = trace(PathGraph(network, path, ids), inputs)
        written = file if seen is None else file.with_suffix(".float32")
        write_graph(program, written, options.format, inputs, outputs)
        if seen is not None:
            quantise(written, file, seen[path], signed=options.precision == INT8_TENSORRT)
            written.unlink()
        graphs.append(HashedFile(file.name, sha256(file)))
    return tuple(graphs)
