"""The description of a folder of exported graphs, stored as a JSON file in the folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from tdnet._util.regular_files import file_problem
from tdnet.class_map.model import ClassMap
from tdnet.errors import InputError, WeightsError
from tdnet.frames.preprocess import MEAN, STD
from tdnet.variants import Variant, get_variant

DESCRIPTION_NAME = "export.json"
FORMAT_VERSION = 1
MAX_GRAPH_BYTES = 2 << 30
BATCH = "batch"
"""Placeholder in shapes for a number of frames that the caller selects."""
LOGITS, LABELS = "logits", "labels"
POSTPROCESSING = {
    LOGITS: "logits are resized to the wanted size (bilinear, corners aligned); the best channel "
    "is the class of class_map that names it under 'from' (or as its id)",
    LABELS: "labels are ids of class_map, at the size of the frames",
}
"""Remaining work on the first output."""
ENTRY = ("query", "key", "value")
"""Outputs that form the memory entry of the frame, in the order of `MemoryEntry`."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of every graph of a folder.

    Attributes:
        name: ``frame``; ``query_I``, ``key_I``, ``value_I`` of memory frame I, 0 being the oldest;
            ``logits`` or ``labels``; ``query``, ``key``, ``value`` of this frame.
        shape: numbers; the first may be `BATCH`.
        dtype: NumPy's name of the number format.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def of_batch(self, batch: int) -> tuple[int, ...]:
        """Return the shape for a number of frames."""
        return tuple(batch if side == BATCH else int(side) for side in self.shape)


@dataclass(frozen=True)
class GraphFile:
    """The graph of one path.

    Attributes:
        file: file name in the folder.
        sha256: hash of the file.
    """

    file: str
    sha256: str

    def read(self, folder: Path) -> bytes:
        """Read the file and check its hash.

        Raises:
            WeightsError: the file cannot be read, is not a regular file, or has another hash.
        """
        path = folder / self.file
        problem = file_problem(path, MAX_GRAPH_BYTES)
        if problem:
            raise WeightsError(f"{path}: {problem}; copy the whole folder again, or export again")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise WeightsError(
                f"{path} is not the file that was exported (its SHA-256 differs): copy the whole "
                "folder again"
            )
        return data


@dataclass(frozen=True)
class ExportDescription:
    """Everything that a program needs to run the graphs of a folder.

    Attributes:
        format: ``onnx``, ``torch`` (torch.export) or ``aoti`` (compiled by AOTInductor).
        variant: name of the network.
        memory_frames: past frames that each frame attends to; the capacity M of the memory.
        num_classes: K, channels of the logits.
        input_size: height and width of frames.
        precision: ``float32`` or ``float16``; for convolutions only, ``int8`` (activations
            unsigned) or ``int8-tensorrt`` (signed, around zero), with float32 tensors.
        opset: opset of ONNX; None for other formats.
        graphs: one for each path, in the order of their turns.
        inputs: inputs of every graph.
        outputs: outputs of every graph.
        class_map: classes of the network's channels.
        weights: name of the exported weights file.
        weights_sha256: hash of that file.
        made_with: versions of packages by name.
    """

    format: str
    variant: str
    memory_frames: int
    num_classes: int
    input_size: tuple[int, int]
    precision: str
    opset: int | None
    graphs: tuple[GraphFile, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    class_map: ClassMap
    weights: str
    weights_sha256: str
    made_with: Mapping[str, str]

    @property
    def network(self) -> Variant:
        """Description of the network with its memory frames."""
        return get_variant(self.variant).limited_memory(self.memory_frames)

    def output(self, name: str) -> TensorSpec:
        """Return the output of a name.

        Raises:
            InputError: no output has that name.
        """
        for spec in self.outputs:
            if spec.name == name:
                return spec
        given = ", ".join(spec.name for spec in self.outputs)
        raise InputError(f"the graphs return {given}, no {name}: export with --outputs {name}")

    def to_json(self) -> str:
        """Return the description as a JSON document."""
        inputs = [asdict(spec) for spec in self.inputs]
        document = {
            "format_version": FORMAT_VERSION,
            "format": self.format,
            "variant": self.variant,
            "num_classes": self.num_classes,
            "input_size": self.input_size,
            "precision": self.precision,
            "opset": self.opset,
            "cycle": {
                "graphs": [asdict(graph) for graph in self.graphs],
                "memory_frames": self.memory_frames,
                "rule": (
                    "Frame t since the last reset runs graph t mod N of the N. Once "
                    "memory_frames frames have run, NAME_I is the output NAME of the I-th of "
                    "the last memory_frames frames, the oldest first; until then all are zeros."
                ),
            },
            "inputs": inputs,
            "outputs": [asdict(spec) for spec in self.outputs],
            "preprocessing": {
                "colors": "RGB",
                "layout": "NCHW",
                "scale": 1 / 255,
                "mean": MEAN,
                "std": STD,
                "resize": (
                    "bilinear, corners not aligned, filtered when it shrinks (antialias); "
                    "then (scale * pixel - mean) / std"
                ),
            },
            "postprocessing": POSTPROCESSING[self.outputs[0].name],
            "class_map": yaml.safe_load(self.class_map.to_yaml()),
            "weights": {"file": self.weights, "sha256": self.weights_sha256},
            "made_with": dict(self.made_with),
        }
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
