"""`tdnet adopt` as a function: a network of another project as a folder that runs like ours."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tdnet._util.packages import require
from tdnet._util.regular_files import sha256
from tdnet.backends import ONNXRUNTIME
from tdnet.backends.onnx.description import (
    DESCRIPTION_NAME,
    FORMAT,
    POSTPROCESSING,
    PREPROCESSING,
    Cycle,
    ExportDescription,
    HashedFile,
)
from tdnet.backends.onnx.providers import import_onnxruntime
from tdnet.backends.onnx.tensors import LOGITS, TensorSpec
from tdnet.class_map.classes import UNLABELLED
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError
from tdnet.frames.preprocess import MEAN, STD, Preprocessor
from tdnet.settings import SegmenterSettings
from tdnet.variants import ADOPTED, MAX_PIXELS, MAX_SIDE, MIN_SIDE
from tdnet.version import __version__
from tdnet_offline.export.foreign_graph import ForeignGraph, InputConvention, Size, Triple
from tdnet_offline.writers.new_folder import check_new, new_folder

GRAPH_NAME = "path0.onnx"


@dataclass(frozen=True)
class AdoptOptions:
    """What a graph does not say about itself. None: found in the graph, or the default.

    Attributes:
        class_map: of the network's channels or labels.
        input_size: height and width of the input, if they are dynamic.
        layout: ``NCHW`` or ``NHWC``.
        colors: ``RGB`` or ``BGR``.
        largest: value of a white pixel, 1 or 255; None: 255 for a uint8 input, else 1.
        mean: in the order of the channels; None: that of ImageNet, for uint8 zeros.
        std: in the order of the channels; None: that of ImageNet, for uint8 ones.
        output_name: output to use, if there are several.
        align_corners: whether the network was trained with logits that are enlarged with aligned
            corners.
    """

    class_map: ClassMap
    input_size: Size | None = None
    layout: str | None = None
    colors: str = "RGB"
    largest: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    output_name: str | None = None
    align_corners: bool = False

    def convention(self, graph: ForeignGraph) -> InputConvention:
        """Return what a graph expects of a frame.

        Raises:
            InputError: the layout does not fit the input, or a standard deviation is not positive.
        """
        raw = graph.dtype == np.uint8
        largest = self.largest or (255 if raw else 1)
        mean: Triple = (0.0, 0.0, 0.0)
        std: Triple = (1.0, 1.0, 1.0)
        if not raw:
            (r, g, b), (x, y, z) = ([largest * value for value in of] for of in (MEAN, STD))
            bgr = self.colors == "BGR"
            mean, std = ((b, g, r), (z, y, x)) if bgr else ((r, g, b), (x, y, z))
        if self.std is not None and min(self.std) <= 0:
            raise InputError(f"--std is {self.std}; allowed are numbers above 0")
        return InputConvention(
            layout=graph.layout(self.layout),
            colors=self.colors,
            largest=largest,
            mean=self.mean or mean,
            std=self.std or std,
        )


def adopt_network(
    file: Path, folder: Path, options: AdoptOptions, sample: npt.NDArray[np.uint8]
) -> ExportDescription:
    """Write a foreign single-frame network as a folder that runs like an exported one of ours.

    The graph is rewritten to take frames of our normalisation and to return logits, and is run
    on a sample. Nothing is written if anything does not fit.

    Args:
        file: ONNX graph.
        folder: new, or empty.
        options: what the graph does not say about itself.
        sample: (H', W', 3) uint8 RGB.

    Returns:
        The description; its field `adopted` has what was understood.

    Raises:
        TdnetError: graph, options or folder cannot be used, or a package is missing.
        OSError: the folder cannot be written.
    """
    onnx = require("onnx", "tdnet adopt")
    runtime = import_onnxruntime()
    check_new(folder)
    graph = ForeignGraph(file, options.output_name)
    convention = options.convention(graph)
    size = graph.size(convention.layout, options.input_size)
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size) or size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"{file}: frames of {size[0]} x {size[1]}; allowed are sides of {MIN_SIDE} to "
            f"{MAX_SIDE} pixels, and {MAX_PIXELS >> 20} megapixels"
        )
    graph.set_input(size, convention)
    frame = Preprocessor(size, torch.device("cpu"), torch.float32)(torch.from_numpy(sample))
    found = graph.run(frame.contiguous().numpy())
    classes = options.class_map.num_network_classes
    kind = graph.set_output(found, classes, convention.layout)
    logits = graph.run(frame.contiguous().numpy())
    if not np.isfinite(logits).all():
        raise InputError(
            f"{file}: the logits of the sample are not finite: check --mean, --std and --white"
        )
    if logits.shape[2] > size[0] or logits.shape[3] > size[1]:
        raise InputError(
            f"{file}: logits of {logits.shape[2]} x {logits.shape[3]} for frames of {size[0]} x "
            f"{size[1]}; allowed are logits that are not larger: remove the last resize"
        )
    adopted = {
        "input": {"name": graph.input_name, "dtype": graph.dtype.name, **asdict(convention)},
        "output": {"name": graph.output_name, "kind": kind, "shape": list(found.shape)},
    }
    with new_folder(folder, last=DESCRIPTION_NAME) as temporary:
        path = temporary / GRAPH_NAME
        path.write_bytes(graph.model.SerializeToString())

        def describe(adopted: Mapping[str, Any]) -> ExportDescription:
            return ExportDescription(
                format=FORMAT,
                variant=ADOPTED.name,
                num_classes=classes,
                input_size=size,
                precision="float32",
                opset=graph.opset,
                cycle=Cycle((HashedFile(GRAPH_NAME, sha256(path)),), 0),
                inputs=(TensorSpec("frame", (1, 3, *size), "float32"),),
                outputs=(TensorSpec(LOGITS, logits.shape, "float32"),),
                preprocessing=PREPROCESSING,
                postprocessing=POSTPROCESSING,
                class_map=options.class_map,
                weights=HashedFile(file.name, sha256(file)),
                made_with={
                    "python": platform.python_version(),
                    "tdnet": __version__,
                    "onnx": str(onnx.__version__),
                    "onnxruntime": str(runtime.__version__),
                },
                align_corners=options.align_corners,
                adopted=adopted,
            )

        def write(description: ExportDescription) -> ExportDescription:
            text = description.to_json()
            (temporary / DESCRIPTION_NAME).write_text(text, encoding="utf-8")
            return description

        write(describe(adopted))
        # The folder itself is used once, as the node uses it.
        shares = _shares(temporary, sample)
        return write(describe({**adopted, "sample": shares}))


def _shares(folder: Path, sample: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Return the share of each class on a sample, the largest first."""
    settings = SegmenterSettings(
        weights=str(folder), device="cpu", precision="float32", runtime=ONNXRUNTIME, provider="cpu"
    )
    segmenter = settings.build()
    labels = segmenter.step(sample).labels
    counts = np.bincount(labels.ravel(), minlength=256)
    names = {entry.id: entry.name for entry in segmenter.class_map.classes}
    names[UNLABELLED] = "unlabelled"
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda number: -counts[number])
    return {names[number]: round(counts[number] / labels.size, 4) for number in order}
